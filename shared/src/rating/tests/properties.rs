//! What holds for every charge and usage, checked on random ones.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::money::{Money, Rounding};

/// Numbers with few digits, where bounds, ties and zeros are common.
fn small_number() -> impl Strategy<Value = Number> {
    (0_i64..2_000, 0_u32..=4).prop_map(|(mantissa, scale)| {
        Number::from_decimal(Decimal::new(mantissa, scale)).unwrap_or_default()
    })
}

/// Amounts of whole cents.
fn cents() -> impl Strategy<Value = Number> {
    (0_i64..2_000, 0_u32..=2).prop_map(|(mantissa, scale)| {
        Number::from_decimal(Decimal::new(mantissa, scale)).unwrap_or_default()
    })
}

/// Numbers of every size, to the largest.
fn any_number() -> impl Strategy<Value = Number> {
    prop_oneof![
        small_number(),
        (0_u32..70, any::<u128>()).prop_map(|(bits, random)| {
            Number::from_billionths(random >> (127 - bits)).unwrap_or(Number::MAX)
        }),
        Just(Number::MAX),
    ]
}

fn any_percent() -> impl Strategy<Value = Percent> {
    (0_u64..100_000, 0_usize..=5).prop_map(|(digits, scale)| {
        let text = format!("{}.{:0scale$}", digits / 100, digits % 100);
        Percent::parse(&text).unwrap_or_default()
    })
}

fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(Currency::all().collect::<Vec<_>>())
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop::sample::select(Rounding::ALL.to_vec())
}

/// Ascending tiers, the last one open.
fn tiers() -> impl Strategy<Value = Vec<Tier>> {
    let bounds = prop::collection::btree_set(small_number(), 0..8);
    let prices = prop::collection::vec((small_number(), cents()), 8);
    (bounds, prices).prop_map(|(bounds, prices)| {
        let bounds = bounds
            .into_iter()
            .filter(|bound| !bound.is_zero())
            .map(Some);
        bounds
            .chain([None])
            .zip(prices)
            .map(|(up_to, (unit_price, flat_fee))| Tier {
                up_to,
                unit_price,
                flat_fee,
            })
            .collect()
    })
}

/// Tiers that nobody has checked.
fn unchecked_tiers() -> impl Strategy<Value = Vec<Tier>> {
    let tier = (prop::option::of(any_number()), any_number(), any_number());
    let tier = tier.prop_map(|(up_to, unit_price, flat_fee)| Tier {
        up_to,
        unit_price,
        flat_fee,
    });
    prop::collection::vec(tier, 0..6)
}

fn unchecked_rate_tiers() -> impl Strategy<Value = Vec<RateTier>> {
    let tier = (prop::option::of(any_number()), any_percent(), any_number());
    let tier = tier.prop_map(|(up_to, rate_percent, flat_fee)| RateTier {
        up_to,
        rate_percent,
        flat_fee,
    });
    prop::collection::vec(tier, 0..6)
}

fn values() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab]?", 0..3)
}

fn matrix() -> impl Strategy<Value = Matrix> {
    let cell =
        (values(), any_number()).prop_map(|(values, unit_price)| Cell { values, unit_price });
    (
        values(),
        prop::collection::vec(cell, 0..6),
        prop::option::of(any_number()),
    )
        .prop_map(|(dimensions, cells, default_unit_price)| Matrix {
            dimensions,
            cells,
            default_unit_price,
        })
}

fn weekday() -> impl Strategy<Value = Weekday> {
    prop::sample::select(Weekday::ALL.to_vec())
}

fn window() -> impl Strategy<Value = Window> {
    (
        prop::option::of((0_u8..30, any::<u8>())),
        prop::collection::vec(weekday(), 0..4),
        prop::collection::vec(prop_oneof![0_u8..14, any::<u8>()], 0..4),
        any_number(),
    )
        .prop_map(|(hours, weekdays, months, unit_price)| Window {
            name: "window".to_owned(),
            hours: hours.map(|(from, to)| Hours { from, to }),
            weekdays,
            months,
            unit_price,
        })
}

fn any_parameters() -> impl Strategy<Value = Parameters> {
    let value = prop_oneof![
        Just(json!(null)),
        any::<i64>().prop_map(|number| json!(number)),
        "[a-c\u{e9}]{0,3}".prop_map(|text| json!(text)),
    ];
    prop::collection::btree_map("[a-c]{0,2}", value, 0..4)
        .prop_map(|members| serde_json::from_value(json!(members)).unwrap_or_default())
}

/// Models of every kind. A check would refuse nearly all of them.
fn any_model() -> impl Strategy<Value = Model> {
    let percentage = (
        any_percent(),
        any_number(),
        0_u32..4,
        any_number(),
        prop::option::of(any_number()),
        prop::option::of(any_number()),
    )
        .prop_map(
            |(rate_percent, fixed_fee, free_events, free_amount, least, most)| Percentage {
                rate_percent,
                fixed_fee,
                free_events,
                free_amount,
                per_event_minimum: least,
                per_event_maximum: most,
            },
        );
    let time_of_use = (
        prop::collection::vec(window(), 0..6),
        prop::option::of(any_number()),
    )
        .prop_map(|(windows, fallback_unit_price)| TimeOfUse {
            windows,
            fallback_unit_price,
        });
    prop_oneof![
        any_number().prop_map(|amount| Model::Flat { amount }),
        any_number().prop_map(|unit_price| Model::PerUnit { unit_price }),
        unchecked_tiers().prop_map(|tiers| Model::Graduated { tiers }),
        tiers().prop_map(|tiers| Model::Graduated { tiers }),
        unchecked_tiers().prop_map(|tiers| Model::Volume { tiers }),
        tiers().prop_map(|tiers| Model::Volume { tiers }),
        (any_number(), any_number()).prop_map(|(package_size, package_price)| Model::Package {
            package_size,
            package_price,
        }),
        percentage.prop_map(Model::Percentage),
        unchecked_rate_tiers().prop_map(|tiers| Model::GraduatedPercentage { tiers }),
        Just(Model::Dynamic {}),
        matrix().prop_map(Model::Matrix),
        time_of_use.prop_map(Model::TimeOfUse),
        any_parameters().prop_map(|parameters| Model::Custom { parameters }),
    ]
}

fn any_charge() -> impl Strategy<Value = Charge> {
    (
        any_model(),
        rounding(),
        prop_oneof![Just(Number::ZERO), any_number()],
        prop::option::of(any_number()),
        prop::option::of(any_number()),
        any::<bool>(),
    )
        .prop_map(
            |(model, rounding, included_units, minimum, maximum, in_advance)| Charge {
                code: "usage".to_owned(),
                name: "Usage".to_owned(),
                metric: Some("units".to_owned()),
                model,
                billing: if in_advance {
                    Billing::Advance
                } else {
                    Billing::Arrears
                },
                rounding,
                included_units,
                minimum,
                maximum,
            },
        )
}

fn any_events() -> impl Strategy<Value = Usage> {
    prop::collection::vec(any_number(), 0..8).prop_map(Usage::Events)
}

fn any_cells() -> impl Strategy<Value = Usage> {
    let cell =
        (values(), any_number()).prop_map(|(values, quantity)| CellUsage { values, quantity });
    prop::collection::vec(cell, 0..8).prop_map(Usage::Cells)
}

fn any_hours() -> impl Strategy<Value = Usage> {
    let hour = (0_u8..14, weekday(), 0_u8..26, any_number()).prop_map(
        |(month, weekday, hour, quantity)| HourUsage {
            month,
            weekday,
            hour,
            quantity,
        },
    );
    prop::collection::vec(hour, 0..8).prop_map(Usage::Hours)
}

fn any_usage() -> impl Strategy<Value = Usage> {
    prop_oneof![
        Just(Usage::Nothing),
        any_number().prop_map(Usage::Quantity),
        any_events(),
        any_cells(),
        any_hours(),
    ]
}

/// A charge and, nearly always, usage of the kind that it prices.
fn charge_and_usage() -> impl Strategy<Value = (Charge, Usage)> {
    any_charge().prop_flat_map(|charge| {
        let fitting = match charge.model {
            Model::Flat { .. } => Just(Usage::Nothing).boxed(),
            Model::PerUnit { .. }
            | Model::Graduated { .. }
            | Model::Volume { .. }
            | Model::Package { .. } => any_number().prop_map(Usage::Quantity).boxed(),
            Model::Percentage(_) | Model::GraduatedPercentage { .. } | Model::Dynamic {} => {
                any_events().boxed()
            }
            Model::Matrix(_) => any_cells().boxed(),
            Model::TimeOfUse(_) => any_hours().boxed(),
            Model::Custom { .. } => any_usage().boxed(),
        };
        (Just(charge), prop_oneof![9 => fitting, 1 => any_usage()])
    })
}

/// A charge that is in order, but for its model.
fn charge_of(model: Model, rounding: Rounding) -> Charge {
    Charge {
        code: "usage".to_owned(),
        name: "Usage".to_owned(),
        metric: Some("units".to_owned()),
        model,
        billing: Billing::Arrears,
        rounding,
        included_units: Number::ZERO,
        minimum: None,
        maximum: None,
    }
}

fn rate(charge: &Charge, currency: Currency, quantity: Number) -> Result<Line, TestCaseError> {
    charge
        .explain(currency, &Usage::Quantity(quantity))
        .map_err(|error| TestCaseError::fail(error.to_string()))
}

fn graduated_amount(tiers: &[Tier], quantity: Number) -> Result<ExactAmount, TestCaseError> {
    let model = Model::Graduated {
        tiers: tiers.to_vec(),
    };
    let charge = charge_of(model, Rounding::HalfEven);
    Ok(rate(&charge, Currency::USD, quantity)?.exact_amount)
}

/// The same price, computed in another way: for each tier, its price of everything
/// above its beginning, less what the tier before it asks for that. It uses decimals,
/// which hold such small numbers exactly.
fn graduated_by_differences(tiers: &[Tier], quantity: Number) -> Decimal {
    let quantity = quantity.to_decimal();
    let mut amount = Decimal::ZERO;
    let mut from = Decimal::ZERO;
    let mut price_before = Decimal::ZERO;
    for (index, tier) in tiers.iter().enumerate() {
        if index == 0 || quantity > from {
            let price = tier.unit_price.to_decimal();
            amount += tier.flat_fee.to_decimal() + (quantity - from) * (price - price_before);
            price_before = price;
        }
        from = tier.up_to.map_or(from, Number::to_decimal);
    }
    amount
}

/// The fee of each event by itself, in decimals.
fn percentage_by_event(percentage: &Percentage, events: &[Number]) -> Decimal {
    let mut free_amount = percentage.free_amount.to_decimal();
    let mut fees = Decimal::ZERO;
    for event in events.iter().skip(percentage.free_events as usize) {
        let event = event.to_decimal();
        if free_amount > Decimal::ZERO && event <= free_amount {
            free_amount -= event;
            continue;
        }
        let rate = percentage.rate_percent.as_share().to_decimal();
        let mut fee = (event - free_amount) * rate + percentage.fixed_fee.to_decimal();
        free_amount = Decimal::ZERO;
        if let Some(most) = percentage.per_event_maximum {
            fee = fee.min(most.to_decimal());
        }
        if let Some(least) = percentage.per_event_minimum {
            fee = fee.max(least.to_decimal());
        }
        fees += fee;
    }
    fees
}

fn sum(amounts: impl IntoIterator<Item = Money>, currency: Currency) -> Option<Money> {
    amounts
        .into_iter()
        .try_fold(Money::zero(currency), Money::checked_add)
        .ok()
}

proptest! {
    #[test]
    fn nothing_panics_and_every_line_adds_up(
        (charge, usage) in charge_and_usage(),
        currency in currency(),
    ) {
        let checked = charge.check(currency).is_empty();
        let fast = charge.rate(currency, &usage);
        match charge.explain(currency, &usage) {
            Ok(line) => {
                prop_assert!(line.adds_up(), "{line:?}");
                prop_assert!(!line.amount.is_negative());
                for step in &line.steps {
                    prop_assert!(!step.to_string().is_empty());
                }
                let json = serde_json::to_string(&line)
                    .map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(serde_json::from_str::<Line>(&json).ok(), Some(line.clone()));
                prop_assert_eq!(fast, Ok(Line { steps: vec![], ..line }));
            }
            Err(error) => {
                prop_assert!(!checked || error.reason != Reason::UncheckedCharge, "{error}");
                prop_assert_eq!(fast, Err(error));
            }
        }
    }

    #[test]
    fn charges_and_usage_round_trip_through_json(charge in any_charge(), usage in any_usage()) {
        let json = serde_json::to_string(&charge)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(serde_json::from_str::<Charge>(&json).ok(), Some(charge));
        let json = serde_json::to_string(&usage)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(serde_json::from_str::<Usage>(&json).ok(), Some(usage));
    }

    #[test]
    fn a_price_with_ascending_tiers_passes_its_check(tiers in tiers()) {
        for model in [Model::Graduated { tiers: tiers.clone() }, Model::Volume { tiers }] {
            prop_assert_eq!(charge_of(model, Rounding::HalfEven).check(Currency::USD), []);
        }
    }

    #[test]
    fn graduated_agrees_with_another_way(tiers in tiers(), quantity in small_number()) {
        let amount = graduated_amount(&tiers, quantity)?;
        let expected = graduated_by_differences(&tiers, quantity);
        prop_assert_eq!(amount.to_string(), expected.normalize().to_string());
    }

    #[test]
    fn graduated_never_falls(tiers in tiers(), a in small_number(), b in small_number()) {
        let amounts = [graduated_amount(&tiers, a.min(b))?, graduated_amount(&tiers, a.max(b))?];
        prop_assert!(amounts.is_sorted(), "{amounts:?}");
    }

    #[test]
    fn graduated_jumps_only_by_flat_fees(tiers in tiers()) {
        let billionth = Number::from_billionths(1).unwrap_or_default();
        for pair in tiers.windows(2) {
            let Some(bound) = pair[0].up_to else {
                return Err(TestCaseError::fail("only the last tier is open"));
            };
            let above = bound.checked_add(billionth).unwrap_or_default();
            let jump = graduated_amount(&tiers, above)?.minus(graduated_amount(&tiers, bound)?);
            let expected = ExactAmount::product(billionth, pair[1].unit_price)
                .and_then(|unit| unit.plus(pair[1].flat_fee.into()));
            prop_assert_eq!(jump, expected, "at {}", bound);
        }
    }

    #[test]
    fn volume_is_one_tier(tiers in tiers(), quantity in small_number()) {
        let tier = tiers.iter().find(|tier| tier.up_to.is_none_or(|up_to| quantity <= up_to));
        let alone: Vec<Tier> = tier.map(|tier| Tier { up_to: None, ..*tier }).into_iter().collect();
        let charge = charge_of(Model::Volume { tiers: tiers.clone() }, Rounding::HalfEven);
        prop_assert_eq!(
            rate(&charge, Currency::USD, quantity)?.exact_amount,
            graduated_amount(&alone, quantity)?
        );
    }

    #[test]
    fn packages_hold_everything_and_no_more(quantity in small_number(), package_size in small_number()) {
        prop_assume!(!package_size.is_zero());
        let package_price = Number::from(1);
        let charge = charge_of(Model::Package { package_size, package_price }, Rounding::HalfEven);
        let packages: Decimal = rate(&charge, Currency::USD, quantity)?.exact_amount.to_string().parse()
            .map_err(|_| TestCaseError::fail("the amount is no decimal"))?;
        let (quantity, size) = (quantity.to_decimal(), package_size.to_decimal());
        prop_assert!(packages.fract().is_zero());
        prop_assert!(packages * size >= quantity, "{packages} are too few");
        prop_assert!(packages.is_zero() || (packages - Decimal::ONE) * size < quantity, "{packages} are too many");
    }

    #[test]
    fn a_percentage_is_the_sum_of_its_events(
        events in prop::collection::vec(small_number(), 0..8),
        rate_percent in any_percent(),
        (fixed_fee, free_amount) in (small_number(), small_number()),
        free_events in 0_u32..3,
        bounds in prop::option::of((small_number(), small_number())),
    ) {
        let percentage = Percentage {
            rate_percent,
            fixed_fee,
            free_events,
            free_amount,
            per_event_minimum: bounds.map(|(a, b)| a.min(b)),
            per_event_maximum: bounds.map(|(a, b)| a.max(b)),
        };
        let charge = charge_of(Model::Percentage(percentage), Rounding::HalfEven);
        prop_assert_eq!(charge.check(Currency::USD), []);
        let expected = percentage_by_event(&percentage, &events).normalize().to_string();
        let line = charge.explain(Currency::USD, &Usage::Events(events))
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(line.adds_up(), "{line:?}");
        prop_assert_eq!(line.exact_amount.to_string(), expected);
    }

    #[test]
    fn products_agree_with_long_multiplication(a in any_number(), b in any_number()) {
        // In base 2^32, so that no digit's product is beyond 64 bits.
        let digits = |number: Number| [0, 32, 64].map(|shift| (number.billionths() >> shift) & 0xffff_ffff);
        let (left, right) = (digits(a), digits(b));
        let mut columns = [0_u128; 6];
        for (i, x) in left.iter().enumerate() {
            for (j, y) in right.iter().enumerate() {
                columns[i + j] += x * y;
            }
        }
        for place in 0..5 {
            columns[place + 1] += columns[place] >> 32;
            columns[place] &= 0xffff_ffff;
        }
        let fits = columns[4] == 0 && columns[5] == 0 && columns[3] >> 31 == 0;
        let units = columns[0] | columns[1] << 32 | columns[2] << 64 | columns[3] << 96;
        match ExactAmount::product(a, b) {
            Ok(product) => {
                let one = 10_u128.pow(EXACT_DECIMALS);
                let expected = format!("{}.{:018}", units / one, units % one);
                let expected = expected.trim_end_matches('0').trim_end_matches('.');
                prop_assert!(fits);
                prop_assert_eq!(product.to_string(), expected);
            }
            Err(reason) => prop_assert!(!fits && reason == Reason::AmountTooLarge),
        }
    }

    #[test]
    fn a_period_in_parts_costs_what_it_costs_in_whole(
        tiers in tiers(),
        mut quantities in prop::collection::vec(small_number(), 1..8),
        by_volume in any::<bool>(),
        currency in currency(),
        rounding in rounding(),
        minimum in prop::option::of(small_number()),
        included_units in small_number(),
    ) {
        // What was used since the period began, at the end of each part.
        quantities.sort();
        let model = if by_volume { Model::Volume { tiers } } else { Model::Graduated { tiers } };
        let charge = Charge { minimum, included_units, ..charge_of(model, rounding) };
        let mut amounts = Vec::new();
        let mut earlier: Option<Line> = None;
        for quantity in quantities {
            let whole = rate(&charge, currency, quantity)?;
            let part = match &earlier {
                None => whole.clone(),
                Some(earlier) => whole.clone().beyond(earlier)
                    .map_err(|error| TestCaseError::fail(error.to_string()))?,
            };
            prop_assert!(part.adds_up(), "{part:?}");
            amounts.push(part.amount);
            earlier = Some(whole);
        }
        prop_assert_eq!(sum(amounts, currency), earlier.map(|line| line.amount));
    }

    #[test]
    fn a_charge_that_passes_bills_what_its_bounds_say(
        quantity in small_number(),
        unit_price in small_number(),
        bounds in (prop::option::of(small_number()), prop::option::of(small_number())),
        currency in currency(),
        rounding in rounding(),
    ) {
        let mut charge = charge_of(Model::PerUnit { unit_price }, rounding);
        (charge.minimum, charge.maximum) = bounds;
        prop_assume!(charge.check(currency).is_empty());
        let amount = rate(&charge, currency, quantity)?.amount.amount();
        prop_assert!(bounds.0.is_none_or(|least| amount >= least.to_decimal()), "{amount}");
        prop_assert!(bounds.1.is_none_or(|most| amount <= most.to_decimal()), "{amount}");
        let flat = charge_of(Model::Flat { amount: unit_price }, rounding);
        let flat = Charge { metric: None, ..flat };
        if flat.check(currency).is_empty() {
            let line = flat.rate(currency, &Usage::Nothing)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(line.amount.amount(), unit_price.to_decimal());
        }
    }

    #[test]
    fn a_plan_is_at_least_its_commitment_and_at_most_its_limit(
        quantity in small_number(),
        unit_price in small_number(),
        bounds in (0_u32..1_000, 0_u32..1_000),
        currency in currency(),
        rounding in rounding(),
    ) {
        let (least, most) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
        let plan = Plan {
            code: "plan".to_owned(),
            name: "Plan".to_owned(),
            currency,
            charges: vec![charge_of(Model::PerUnit { unit_price }, rounding)],
            included_units: vec![],
            minimum_commitment: Some(least.into()),
            maximum_spend: Some(most.into()),
            trial: None,
        };
        prop_assert_eq!(plan.check(), []);
        let usage = [("usage".to_owned(), Usage::Quantity(quantity))].into_iter().collect();
        let rated = plan.explain(&usage, Phase::Paid)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let total = rated.total.amount();
        prop_assert!(total >= Decimal::from(least) && total <= Decimal::from(most), "{total}");
        let lines = rated.lines.iter().map(|line| line.amount);
        prop_assert_eq!(sum(lines, currency), Some(rated.total));
        prop_assert!(rated.lines.iter().all(Line::adds_up));
    }

    #[test]
    fn lines_of_custom_models_are_rounded_once_and_counted_in(
        amounts in prop::collection::vec(
            prop::collection::vec(prop_oneof![29 => small_number(), 1 => any_number()], 0..4),
            1..=20,
        ),
        unit_price in small_number(),
        currency in currency(),
        rounding in rounding(),
    ) {
        let amounts: Vec<_> = amounts
            .iter()
            .map(|steps| steps.iter().map(|step| ExactAmount::from(*step)).collect::<Vec<_>>())
            .collect();
        let total = |steps: &[ExactAmount]| {
            steps.iter().try_fold(ExactAmount::ZERO, |sum, step| sum.plus(*step))
        };
        let lines = amounts.iter().map(|steps| Ok(PricedLine {
            description: "Line".to_owned(),
            quantity: None,
            unit_price: None,
            exact_amount: total(steps)?,
            steps: steps
                .iter()
                .map(|step| PricedStep { text: "step".to_owned(), subtotal: *step })
                .collect(),
        }));
        let lines = lines.collect::<Result<Vec<_>, Reason>>();
        let lines = lines.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assume!(check_priced_lines(&lines, currency).is_ok());
        let mut custom = charge_of(Model::Custom { parameters: Parameters::default() }, rounding);
        custom.code = "custom".to_owned();
        let plan = Plan {
            code: "plan".to_owned(),
            name: "Plan".to_owned(),
            currency,
            charges: vec![custom, charge_of(Model::PerUnit { unit_price }, rounding)],
            included_units: vec![],
            minimum_commitment: None,
            maximum_spend: None,
            trial: None,
        };
        prop_assert_eq!(plan.check(), []);
        let prices = CustomPrices::from([("custom".to_owned(), Ok(lines.clone()))]);
        let rated = match plan.explain_with(&Default::default(), &prices, Phase::Paid) {
            Ok(Outcome::Rated(rated)) => rated,
            Ok(outcome) => return Err(TestCaseError::fail(format!("{outcome:?}"))),
            Err(error) => {
                // Twenty of the largest amounts are more than an amount can be.
                prop_assert_eq!(error.reason, Reason::AmountTooLarge);
                return Ok(());
            }
        };
        prop_assert_eq!(rated.lines.len(), lines.len() + 1);
        for (line, priced) in rated.lines.iter().zip(&lines) {
            prop_assert!(line.adds_up(), "{line:?}");
            prop_assert_eq!(line.exact_amount, priced.exact_amount);
            prop_assert_eq!(Ok(line.amount), priced.exact_amount.round(currency, rounding));
        }
        let amounts = rated.lines.iter().map(|line| line.amount);
        prop_assert_eq!(sum(amounts, currency), Some(rated.total));
    }
}
