//! The rules for a charge and a plan, checked against what a client wrote.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::charge::{Billing, Charge};
use super::custom::{MAX_CUSTOM_CHARGES, MAX_PARAMETERS_BYTES, MAX_PARAMETERS_DEPTH};
use super::matrix::Matrix;
use super::model::Model;
use super::number::Number;
use super::percentage::Percentage;
use super::plan::Plan;
use super::tiers::Tier;
use super::time_of_use::{DAY_HOURS, Mask, TimeOfUse, Weekday, Window, YEAR_MONTHS};
use crate::http::problem::FieldError;
use crate::money::{Currency, Rounding, round_decimal};
use crate::text::layout;

/// Most bytes of a code or of a metric's name.
pub const MAX_CODE_BYTES: usize = 64;

/// Most characters of a name. An invoice has room for that in one line.
pub const MAX_NAME_CHARS: usize = 200;

/// Most tiers of a charge: far more than a readable price list has.
pub const MAX_TIERS: usize = 100;

/// Most dimensions of a matrix.
pub const MAX_DIMENSIONS: usize = 4;

/// Most cells of a matrix. 1,000 cells with four values of 20 bytes are some 130 kB of
/// JSON.
pub const MAX_CELLS: usize = 1_000;

/// Most characters of a dimension's name and of its value in a cell.
pub const MAX_CELL_VALUE_CHARS: usize = 128;

/// Most windows of a time of use. Each is compared with each other one, which takes
/// microseconds.
pub const MAX_WINDOWS: usize = 100;

/// Most charges of a plan.
pub const MAX_CHARGES: usize = 200;

/// Most metrics of which a plan includes units.
pub const MAX_INCLUDED_METRICS: usize = 100;

/// Longest trial: two years.
pub const MAX_TRIAL_DAYS: u32 = 730;

/// Most violations that are listed at once.
pub const MAX_VIOLATIONS: usize = 100;

impl Charge {
    /// Everything that is wrong with the charge, by the path of the field as the client
    /// wrote it: `model.tiers[3].up_to`. Empty when the charge can be rated in
    /// `currency`.
    pub fn check(&self, currency: Currency) -> Vec<FieldError> {
        let mut violations = Violations::of(currency);
        check_charge(self, &Path::root(), &mut violations);
        violations.list
    }
}

impl Plan {
    /// Everything that is wrong with the plan and its charges, as for
    /// [`Charge::check`].
    pub fn check(&self) -> Vec<FieldError> {
        let mut violations = Violations::of(self.currency);
        check_plan(self, &mut violations);
        violations.list
    }
}

/// The place of a field. It becomes text only for a violation.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'static str),
    Element(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    const fn root() -> Self {
        Self::Root
    }

    const fn field(&'a self, name: &'static str) -> Self {
        Self::Field(self, name)
    }

    const fn element(&'a self, index: usize) -> Self {
        Self::Element(self, index)
    }

    fn to_text(self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field(Self::Root, name) => name.to_owned(),
            Self::Field(parent, name) => format!("{}.{name}", parent.to_text()),
            Self::Element(parent, index) => format!("{}[{index}]", parent.to_text()),
        }
    }
}

struct Violations {
    /// The currency of all amounts.
    currency: Currency,
    list: Vec<FieldError>,
}

impl Violations {
    const fn of(currency: Currency) -> Self {
        Self {
            currency,
            list: Vec::new(),
        }
    }

    fn add(&mut self, path: Path<'_>, code: &'static str, message: impl Into<Cow<'static, str>>) {
        if self.list.len() < MAX_VIOLATIONS {
            self.list.push(FieldError {
                field: path.to_text().into(),
                code,
                message: message.into(),
            });
        }
    }

    /// Whether a list may be examined. A list that is too long is not.
    fn check_len(&mut self, path: Path<'_>, len: usize, least: usize, most: usize) -> bool {
        if !(least..=most).contains(&len) {
            let message = match least {
                0 => format!("must have at most {most} items"),
                _ => format!("must have {least} to {most} items"),
            };
            self.add(path, "wrong_length", message);
        }
        len <= most
    }

    fn check_code(&mut self, path: Path<'_>, code: &str) {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
        };
        let message = format!("must be 1 to {MAX_CODE_BYTES} of a-z, 0-9, _ and -");
        if code.is_empty() || code.len() > MAX_CODE_BYTES {
            self.add(path, "wrong_length", message);
        } else if !code.bytes().all(allowed) {
            self.add(path, "invalid", message);
        }
    }

    fn check_text(&mut self, path: Path<'_>, text: &str, most: usize) {
        let count = text.chars().take(most + 1).count();
        if count == 0 || count > most {
            let message = format!("must have 1 to {most} characters");
            self.add(path, "wrong_length", message);
        } else if text.chars().any(layout::is_control) {
            self.add(
                path,
                "invalid_character",
                "must not contain control characters",
            );
        }
    }

    /// An amount that is billed as it is, or that a rounded amount is held to, must be
    /// one that can be billed. A price of a unit may be finer.
    fn check_minor_units(&mut self, path: Path<'_>, amount: Option<Number>) {
        let exponent = self.currency.exponent();
        let is_whole = |number: Number| {
            let amount = number.to_decimal();
            round_decimal(amount, exponent, Rounding::Down) == amount
        };
        if amount.is_some_and(|number| !is_whole(number)) {
            let message = match exponent {
                0 => "must have no digits after the point".to_owned(),
                _ => format!("must have at most {exponent} digits after the point"),
            };
            self.add(path, "too_fine", message);
        }
    }

    fn check_order(&mut self, path: Path<'_>, least: Option<Number>, most: Option<Number>) {
        if let (Some(least), Some(most)) = (least, most)
            && most < least
        {
            self.add(
                path,
                "below_minimum",
                format!("must not be below the minimum of {least}"),
            );
        }
    }
}

fn check_plan(plan: &Plan, violations: &mut Violations) {
    let root = Path::root();
    violations.check_code(root.field("code"), &plan.code);
    violations.check_text(root.field("name"), &plan.name, MAX_NAME_CHARS);
    let charges = root.field("charges");
    if violations.check_len(charges, plan.charges.len(), 1, MAX_CHARGES) {
        let mut codes = BTreeSet::new();
        for (index, charge) in plan.charges.iter().enumerate() {
            let path = charges.element(index);
            check_charge(charge, &path, violations);
            if !codes.insert(&charge.code) {
                violations.add(
                    path.field("code"),
                    "repeated",
                    "is another charge's code too",
                );
            }
        }
    }
    let is_custom = |charge: &&Charge| matches!(charge.model, Model::Custom { .. });
    if plan.charges.iter().filter(is_custom).count() > MAX_CUSTOM_CHARGES {
        violations.add(
            charges,
            "too_many",
            format!("must have at most {MAX_CUSTOM_CHARGES} with a custom model"),
        );
    }
    check_included(plan, violations);
    let commitment = root.field("minimum_commitment");
    violations.check_minor_units(commitment, plan.minimum_commitment);
    let maximum = root.field("maximum_spend");
    violations.check_minor_units(maximum, plan.maximum_spend);
    violations.check_order(maximum, plan.minimum_commitment, plan.maximum_spend);
    if let Some(trial) = plan.trial
        && !(1..=MAX_TRIAL_DAYS).contains(&trial.days)
    {
        violations.add(
            root.field("trial").field("days"),
            "out_of_range",
            format!("must be from 1 to {MAX_TRIAL_DAYS}"),
        );
    }
}

fn check_included(plan: &Plan, violations: &mut Violations) {
    let root = Path::root();
    let list = root.field("included_units");
    if !violations.check_len(list, plan.included_units.len(), 0, MAX_INCLUDED_METRICS) {
        return;
    }
    let mut metrics = BTreeSet::new();
    for (index, included) in plan.included_units.iter().enumerate() {
        let element = list.element(index);
        let path = element.field("metric");
        if !metrics.insert(&included.metric) {
            violations.add(
                path,
                "repeated",
                "units of this metric are included already",
            );
        }
        let mut pricing = plan
            .charges
            .iter()
            .filter(|charge| charge.metric.as_ref() == Some(&included.metric))
            .peekable();
        if pricing.peek().is_none() {
            violations.add(path, "unknown", "must be the metric of a charge");
        }
        if pricing.any(|charge| !charge.model.has_one_quantity()) {
            violations.add(
                path,
                "not_countable",
                "must be priced per unit, graduated, by volume or by package, and not otherwise",
            );
        }
    }
}

fn check_charge(charge: &Charge, path: &Path<'_>, violations: &mut Violations) {
    violations.check_code(path.field("code"), &charge.code);
    violations.check_text(path.field("name"), &charge.name, MAX_NAME_CHARS);
    let is_flat = matches!(charge.model, Model::Flat { .. });
    match &charge.metric {
        Some(_) if is_flat => violations.add(
            path.field("metric"),
            "not_allowed",
            "a flat charge prices no metric",
        ),
        Some(metric) => violations.check_code(path.field("metric"), metric),
        None if is_flat => {}
        None => violations.add(
            path.field("metric"),
            "required",
            "is required for every model but flat",
        ),
    }
    let countable = charge.model.has_one_quantity();
    if charge.billing == Billing::Advance && !countable && !is_flat {
        violations.add(
            path.field("billing"),
            "not_known_in_advance",
            "must be arrears for a model whose usage is known only afterwards",
        );
    }
    if !charge.included_units.is_zero() && !countable {
        violations.add(
            path.field("included_units"),
            "not_countable",
            "units can be included per unit, graduated, by volume and by package",
        );
    }
    if matches!(charge.model, Model::Custom { .. }) {
        // A custom model may make several lines, so a bound for one line means nothing.
        for (name, bound) in [("minimum", charge.minimum), ("maximum", charge.maximum)] {
            if bound.is_some() {
                violations.add(
                    path.field(name),
                    "not_allowed",
                    "a custom model has bounds of its own, if any",
                );
            }
        }
    }
    violations.check_minor_units(path.field("minimum"), charge.minimum);
    violations.check_minor_units(path.field("maximum"), charge.maximum);
    violations.check_order(path.field("maximum"), charge.minimum, charge.maximum);
    check_model(&charge.model, &path.field("model"), violations);
}

fn check_model(model: &Model, path: &Path<'_>, violations: &mut Violations) {
    match model {
        Model::PerUnit { .. } | Model::Dynamic {} => {}
        Model::Flat { amount } => {
            violations.check_minor_units(path.field("amount"), Some(*amount));
        }
        Model::Graduated { tiers } | Model::Volume { tiers } => {
            check_tiers(tiers.iter().copied(), path, violations);
        }
        Model::GraduatedPercentage { tiers } => {
            check_tiers(tiers.iter().map(Tier::from), path, violations);
        }
        Model::Package { package_size, .. } => {
            if package_size.is_zero() {
                violations.add(
                    path.field("package_size"),
                    "not_positive",
                    "must be greater than zero",
                );
            }
        }
        Model::Percentage(Percentage {
            per_event_minimum,
            per_event_maximum,
            ..
        }) => {
            let maximum = path.field("per_event_maximum");
            violations.check_order(maximum, *per_event_minimum, *per_event_maximum);
        }
        Model::Matrix(matrix) => check_matrix(matrix, path, violations),
        Model::TimeOfUse(time_of_use) => check_time_of_use(time_of_use, path, violations),
        Model::Custom { parameters } => {
            if parameters.to_json().len() > MAX_PARAMETERS_BYTES {
                violations.add(
                    path.field("parameters"),
                    "too_large",
                    format!("must be at most {MAX_PARAMETERS_BYTES} bytes of JSON"),
                );
            }
            if parameters.are_too_deep() {
                violations.add(
                    path.field("parameters"),
                    "too_deep",
                    format!("must nest at most {MAX_PARAMETERS_DEPTH} deep"),
                );
            }
        }
    }
}

fn check_tiers(
    tiers: impl ExactSizeIterator<Item = Tier>,
    path: &Path<'_>,
    violations: &mut Violations,
) {
    let list = path.field("tiers");
    let len = tiers.len();
    if !violations.check_len(list, len, 1, MAX_TIERS) {
        return;
    }
    let mut reached = Number::ZERO;
    for (index, tier) in tiers.enumerate() {
        let element = list.element(index);
        violations.check_minor_units(element.field("flat_fee"), Some(tier.flat_fee));
        let path = element.field("up_to");
        match tier.up_to {
            Some(_) if index + 1 == len => violations.add(
                path,
                "not_open",
                "must be absent in the last tier, so that every quantity has a price",
            ),
            Some(up_to) if up_to <= reached => {
                violations.add(path, "not_ascending", format!("must be above {reached}"))
            }
            Some(up_to) => reached = up_to,
            None if index + 1 < len => {
                violations.add(path, "required", "is required in every tier but the last")
            }
            None => {}
        }
    }
}

fn check_matrix(matrix: &Matrix, path: &Path<'_>, violations: &mut Violations) {
    let dimensions = path.field("dimensions");
    if violations.check_len(dimensions, matrix.dimensions.len(), 1, MAX_DIMENSIONS) {
        for (index, name) in matrix.dimensions.iter().enumerate() {
            violations.check_text(dimensions.element(index), name, MAX_CELL_VALUE_CHARS);
            if matrix.dimensions[..index].contains(name) {
                violations.add(dimensions.element(index), "repeated", "is named already");
            }
        }
    }
    let cells = path.field("cells");
    let least = usize::from(matrix.default_unit_price.is_none());
    if !violations.check_len(cells, matrix.cells.len(), least, MAX_CELLS) {
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, cell) in matrix.cells.iter().enumerate() {
        let element = cells.element(index);
        let values = element.field("values");
        if cell.values.len() != matrix.dimensions.len() {
            violations.add(
                values,
                "wrong_length",
                "must have one value for each dimension",
            );
            continue;
        }
        for (place, value) in cell.values.iter().enumerate() {
            violations.check_text(values.element(place), value, MAX_CELL_VALUE_CHARS);
        }
        if !seen.insert(&cell.values) {
            violations.add(values, "repeated", "has a price already");
        }
    }
}

fn check_time_of_use(time_of_use: &TimeOfUse, path: &Path<'_>, violations: &mut Violations) {
    let windows = path.field("windows");
    if !violations.check_len(windows, time_of_use.windows.len(), 1, MAX_WINDOWS) {
        return;
    }
    let masks: Vec<Mask> = time_of_use.windows.iter().map(Mask::of).collect();
    for (index, window) in time_of_use.windows.iter().enumerate() {
        let path = windows.element(index);
        check_window(window, &path, violations);
        let overlapped = masks[..index]
            .iter()
            .position(|earlier| earlier.meets(masks[index]));
        if let Some(earlier) = overlapped {
            violations.add(
                path,
                "overlap",
                format!("has an hour in common with windows[{earlier}]"),
            );
        }
    }
    if time_of_use.fallback_unit_price.is_some() {
        return;
    }
    let left_out = (1..=YEAR_MONTHS)
        .flat_map(|month| Weekday::ALL.map(|weekday| (month, weekday)))
        .flat_map(|(month, weekday)| (0..DAY_HOURS).map(move |hour| (month, weekday, hour)))
        .find(|&(month, weekday, hour)| {
            Mask::of_hour(month, weekday, hour)
                .is_some_and(|slot| !masks.iter().any(|mask| mask.meets(slot)))
        });
    if let Some((month, weekday, hour)) = left_out {
        violations.add(
            path.field("fallback_unit_price"),
            "required",
            format!("is required: no window has {weekday} {hour}:00 in month {month}"),
        );
    }
}

fn check_window(window: &Window, path: &Path<'_>, violations: &mut Violations) {
    violations.check_text(path.field("name"), &window.name, MAX_CELL_VALUE_CHARS);
    if window.hours.is_some_and(|hours| !hours.are_of_a_day()) {
        violations.add(
            path.field("hours"),
            "out_of_range",
            "must begin from 0 to 23 and end from 1 to 24, at another hour",
        );
    }
    let weekdays: BTreeSet<_> = window.weekdays.iter().collect();
    if weekdays.len() < window.weekdays.len() {
        violations.add(path.field("weekdays"), "repeated", "must name a day once");
    }
    let months: BTreeSet<_> = window.months.iter().collect();
    if months.len() < window.months.len() {
        violations.add(path.field("months"), "repeated", "must name a month once");
    }
    if months
        .iter()
        .any(|month| !(1..=YEAR_MONTHS).contains(*month))
    {
        violations.add(path.field("months"), "out_of_range", "must be from 1 to 12");
    }
}
