//! From the lines that a model returned to lines, if they are any.

use shared::money::Currency;
use shared::rating::{
    ExactAmount, MAX_CUSTOM_LINES, MAX_CUSTOM_STEPS, Number, PricedLine, PricedStep,
    check_priced_lines,
};

use crate::bindings::turnpike::pricing::model;

/// The lines, or what is wrong with them by its place.
pub fn read(returned: Vec<model::Line>, currency: Currency) -> Result<Vec<PricedLine>, String> {
    // So many are not even read; the check below says what is wrong with them.
    let read = returned
        .into_iter()
        .take(MAX_CUSTOM_LINES + 1)
        .enumerate()
        .map(|(index, line)| priced(line).map_err(|fault| format!("lines[{index}].{fault}")));
    let lines = read.collect::<Result<Vec<_>, _>>()?;
    check_priced_lines(&lines, currency)?;
    Ok(lines)
}

fn priced(line: model::Line) -> Result<PricedLine, String> {
    let number = |name: &str, text: Option<String>| {
        let read = text.map(|text| Number::parse(&text)).transpose();
        read.map_err(|error| format!("{name} is wrong: {error}"))
    };
    let step = |(index, step): (usize, model::Step)| {
        let subtotal = ExactAmount::parse(&step.amount)
            .map_err(|error| format!("steps[{index}].amount is wrong: {error}"))?;
        let text = step.text;
        Ok(PricedStep { text, subtotal })
    };
    let steps = line.steps.into_iter().take(MAX_CUSTOM_STEPS + 1);
    Ok(PricedLine {
        description: line.description,
        quantity: number("quantity", line.quantity)?,
        unit_price: number("unit-price", line.unit_price)?,
        exact_amount: ExactAmount::parse(&line.amount)
            .map_err(|error| format!("amount is wrong: {error}"))?,
        steps: steps.enumerate().map(step).collect::<Result<_, String>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> model::Line {
        let step = |text: &str, amount: &str| model::Step {
            text: text.to_owned(),
            amount: amount.to_owned(),
        };
        model::Line {
            description: "Power".to_owned(),
            quantity: Some("3".to_owned()),
            unit_price: Some("0.5".to_owned()),
            amount: "1.25".to_owned(),
            steps: vec![step("energy", "1.5"), step("discount", "-0.25")],
        }
    }

    #[test]
    fn what_is_no_line_is_named_by_its_place() {
        type Change = fn(&mut model::Line);
        let table: [(Change, Option<&str>); 19] = [
            (|_| {}, None),
            (|line| line.steps.clear(), None),
            (|line| line.quantity = None, None),
            (
                |line| line.description.clear(),
                Some("lines[0].description must be 1 to 200"),
            ),
            (
                |line| line.description = "x".repeat(201),
                Some("lines[0].description must be 1 to 200"),
            ),
            (
                |line| line.description = "a\u{1b}[2J".to_owned(),
                Some("lines[0].description must be"),
            ),
            (
                |line| line.amount = "1.2".to_owned(),
                Some("lines[0].amount is 1.2, and its steps sum to 1.25"),
            ),
            (
                |line| line.amount = "-1".to_owned(),
                Some("lines[0].amount must not be below zero"),
            ),
            (
                |line| line.amount = "1e3".to_owned(),
                Some("lines[0].amount is wrong"),
            ),
            (
                |line| line.amount = "NaN".to_owned(),
                Some("lines[0].amount is wrong"),
            ),
            (
                |line| line.amount = String::new(),
                Some("lines[0].amount is wrong"),
            ),
            (
                |line| line.amount = "1000000000000".to_owned(),
                Some("lines[0].amount must be below 10^12"),
            ),
            (
                |line| line.amount = format!("0.{}", "1".repeat(19)),
                Some("lines[0].amount is wrong"),
            ),
            (
                |line| line.quantity = Some("-1".to_owned()),
                Some("lines[0].quantity is wrong"),
            ),
            (
                |line| line.unit_price = Some("x".to_owned()),
                Some("lines[0].unit-price is wrong"),
            ),
            (
                |line| line.steps[1].amount = "x".to_owned(),
                Some("lines[0].steps[1].amount is wrong"),
            ),
            (
                |line| line.steps[1].text = "x".repeat(501),
                Some("lines[0].steps[1].text must be 1 to 500"),
            ),
            (
                |line| line.steps[0].amount = "170141183460469231731".to_owned(),
                Some("lines[0].amount is 1.25, and its steps sum to 170141183460469231730.75"),
            ),
            (
                |line| {
                    let step = model::Step {
                        text: "free".to_owned(),
                        amount: "0".to_owned(),
                    };
                    line.steps.resize_with(101, || step.clone());
                },
                Some("lines[0].steps must be at most 100"),
            ),
        ];
        for (index, (change, expected)) in table.into_iter().enumerate() {
            let mut line = line();
            change(&mut line);
            let fault = read(vec![line], Currency::USD).err();
            match (&fault, expected) {
                (None, None) => {}
                (Some(fault), Some(expected)) if fault.starts_with(expected) => {}
                _ => panic!("row {index}: {fault:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn so_many_lines() {
        for (count, is_right) in [
            (0, false),
            (1, true),
            (20, true),
            (21, false),
            (1_000, false),
        ] {
            let mut lines = Vec::new();
            lines.resize_with(count, line);
            assert_eq!(read(lines, Currency::USD).is_ok(), is_right, "{count}");
        }
    }

    /// A line each is small enough, and the charge would still be too much to invoice.
    #[test]
    fn lines_are_not_too_much_together() {
        for (amounts, is_right) in [
            (["999999999999.98", "0.01"], true),
            (["999999999999.98", "0.011"], false),
            (["500000000000", "500000000000"], false),
        ] {
            let line = |amount: &str| model::Line {
                amount: amount.to_owned(),
                steps: Vec::new(),
                ..line()
            };
            let fault = read(amounts.map(line).into(), Currency::USD).err();
            let expected = (!is_right).then_some("the amounts must sum to less than 10^12");
            assert_eq!(fault.as_deref(), expected, "{amounts:?}");
        }
    }
}
