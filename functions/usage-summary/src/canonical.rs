//! One form for each answer, under which it is cached.

use shared::metering::UsageBound;

use crate::operations::{UsageInterval, UsageSummaryQuery};

/// How long a bucket is when the caller does not say.
pub const DEFAULT_INTERVAL: UsageInterval = UsageInterval::Day;

/// What the answer depends on beside the organization and the time. JSON, because a name
/// may hold whatever would separate two.
pub fn canonical(query: &UsageSummaryQuery) -> String {
    let bound = |bound: Option<UsageBound>| {
        bound.map(|bound| {
            let zone = if bound.is_local { "" } else { "Z" };
            format!("{}{zone}", bound.time.format("%Y-%m-%dT%H:%M"))
        })
    };
    let names = query.group_by.as_ref().map(|names| names.0.as_slice());
    serde_json::json!([
        *query.meter,
        bound(query.since),
        bound(query.until),
        query.interval.unwrap_or(DEFAULT_INTERVAL),
        query.subject.as_deref(),
        names.unwrap_or_default(),
        query.timezone,
    ])
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeSet;

    use shared::http::input;

    use super::*;

    fn read(parameters: &[(&str, &str)]) -> Result<UsageSummaryQuery, String> {
        let all = [("meter", "calls")].into_iter();
        let all = all.chain(parameters.iter().copied());
        let all = all.map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value)));
        input::query(all).map_err(|problem| {
            let errors = problem.errors.iter();
            let named: Vec<String> = errors.map(|e| format!("{} {}", e.field, e.code)).collect();
            named.join(", ")
        })
    }

    #[test]
    fn what_is_answered_differently_is_asked_differently() {
        let queries: [&[(&str, &str)]; 10] = [
            &[],
            &[("since", "2026-11-21")],
            &[("since", "2026-11-21T00:00:00Z")],
            &[("until", "2026-11-21")],
            &[("interval", "hour")],
            &[("subject", "UTC")],
            &[("timezone", "UTC")],
            &[("group_by", "a,b")],
            &[("group_by", "b,a")],
            &[("group_by", "a\",\"b")],
        ];
        let mut forms = BTreeSet::new();
        for parameters in queries {
            let query = read(parameters).expect("the parameters are right");
            assert!(forms.insert(canonical(&query)), "{parameters:?}");
        }
        let other = [(Cow::Borrowed("meter"), Cow::Borrowed("tokens"))];
        let other = input::query(other.into_iter()).expect("a meter is enough");
        assert!(forms.insert(canonical(&other)));
    }

    #[test]
    fn what_is_answered_alike_is_asked_alike() {
        let table: [[&[(&str, &str)]; 2]; 2] = [
            [&[], &[("interval", "day")]],
            [
                &[
                    ("since", "2026-11-21T00:00:00Z"),
                    ("until", "2026-11-22T00:00:00Z"),
                ],
                &[
                    ("until", "2026-11-22T01:00:00+01:00"),
                    ("since", "2026-11-21T00:00:00+00:00"),
                ],
            ],
        ];
        for [one, other] in table {
            let form = |parameters| read(parameters).map(|query| canonical(&query));
            assert_eq!(form(one), form(other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn groups() {
        let table = [
            ("model", Ok(1)),
            ("model,region.name", Ok(2)),
            ("a,a", Err("group_by invalid")),
            ("a,b,c,d,e", Err("group_by invalid")),
        ];
        for (text, expected) in table {
            let got = read(&[("group_by", text)]);
            let got = got.map(|query| query.group_by.map_or(0, |names| names.0.len()));
            assert_eq!(got, expected.map_err(str::to_owned), "{text}");
        }
    }
}
