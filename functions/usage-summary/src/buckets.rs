//! From the buckets that something was counted in to all of the range.

use std::fmt;

use serde_json::value::RawValue;
use shared::metering::{Aggregation, UsageQuantity};

use crate::operations::{UsageBucket, UsageGroup, UsageGroupValue};
use crate::queries::{Found, FoundGroup};

/// That usage was lost, or counted twice, on the way into the groups.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Events of all groups together.
    grouped: u64,
    /// Events that were counted.
    counted: u64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grouped, counted } = self;
        write!(
            f,
            "the groups have {grouped} events of {counted} that were counted"
        )
    }
}

/// What a bucket without events has.
fn nothing(aggregation: Aggregation) -> Option<UsageQuantity> {
    match aggregation {
        Aggregation::Count
        | Aggregation::Sum
        | Aggregation::UniqueCount
        | Aggregation::TimeWeightedSum => Some(UsageQuantity::zero()),
        Aggregation::Min | Aggregation::Max | Aggregation::Average | Aggregation::Latest => None,
    }
}

fn empty_group(found: &Found, names: &[String], values: &[Box<RawValue>]) -> UsageGroup {
    let ends = found.starts.iter().skip(1).chain([&found.until]);
    let buckets = found
        .starts
        .iter()
        .zip(ends)
        .map(|(starts_at, ends_at)| UsageBucket {
            starts_at: starts_at.clone(),
            ends_at: ends_at.clone(),
            value: nothing(found.aggregation),
            events: 0,
        });
    UsageGroup {
        group: names
            .iter()
            .cloned()
            .zip(values.iter().cloned().map(UsageGroupValue))
            .collect(),
        value: nothing(found.aggregation),
        events: 0,
        buckets: buckets.collect(),
    }
}

/// The groups in the order of their values, each with every bucket of the range.
/// Without properties to group by there is one group, for whatever there is.
///
/// # Errors
/// That the groups do not amount to what was counted. Then there is no answer, because it
/// would be a wrong one.
pub fn groups(found: &Found, names: &[String]) -> Result<Vec<UsageGroup>, Mismatch> {
    let mut in_order: Vec<(Vec<&str>, &FoundGroup)> = found
        .groups
        .iter()
        .map(|group| (group.0.iter().map(|value| value.get()).collect(), group))
        .collect();
    in_order.sort_by(|a, b| a.0.cmp(&b.0));
    let mut groups: Vec<UsageGroup> = in_order
        .iter()
        .map(|(_, group)| filled_group(found, names, group))
        .collect::<Result<_, _>>()?;
    if names.is_empty() && groups.is_empty() {
        groups.push(empty_group(found, names, &[]));
    }
    check(groups.iter().map(|group| group.events).sum(), found.events)?;
    Ok(groups)
}

fn filled_group(
    found: &Found,
    names: &[String],
    FoundGroup(values, cells): &FoundGroup,
) -> Result<UsageGroup, Mismatch> {
    let mut group = empty_group(found, names, values);
    for cell in cells {
        let (value, events) = match cell.0.checked_sub(1) {
            None => (&mut group.value, &mut group.events),
            Some(at) => match group.buckets.get_mut(at) {
                Some(bucket) => (&mut bucket.value, &mut bucket.events),
                None => continue,
            },
        };
        value.clone_from(&cell.2);
        *events = cell.1;
    }
    let in_buckets = group.buckets.iter().map(|bucket| bucket.events).sum();
    check(in_buckets, group.events)?;
    Ok(group)
}

const fn check(grouped: u64, counted: u64) -> Result<(), Mismatch> {
    if grouped == counted {
        return Ok(());
    }
    Err(Mismatch { grouped, counted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(aggregation: &str, events: u64, groups: &str) -> Found {
        let found = json!({
            "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5",
            "token_expires_millis": 1, "valid_until_millis": 1,
            "meter": "calls", "aggregation": aggregation, "time_zone": "UTC", "since": "a", "until": "d", "starts": ["a", "b", "c"],
            "events": events, "groups": [],
        });
        let found = found.to_string().replace("[]", groups);
        serde_json::from_str(&found).expect("the tests write what the statement does")
    }

    fn shown(found: &Found, names: &[&str]) -> Result<Value, Mismatch> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        groups(found, &names).map(|groups| json!(groups))
    }

    #[test]
    fn gaps_are_filled() {
        let found = found("sum", 3, r#"[[[], [[2, 3, "5.5"], [0, 3, "5.5"]]]]"#);
        let bucket = |from: &str, to: &str, value: &str, events: u64| json!({"starts_at": from, "ends_at": to, "value": value, "events": events});
        let expected = json!([{"group": {}, "value": "5.5", "events": 3, "buckets": [
            bucket("a", "b", "0", 0), bucket("b", "c", "5.5", 3), bucket("c", "d", "0", 0)]}]);
        assert_eq!(shown(&found, &[]), Ok(expected));
    }

    #[test]
    fn nothing_is_a_group_without_groups_and_none_with() {
        let found = found("max", 0, "[]");
        let empty = groups(&found, &[]).expect("nothing is lost");
        assert_eq!(empty.len(), 1);
        assert_eq!((&empty[0].value, empty[0].buckets.len()), (&None, 3));
        assert_eq!(shown(&found, &["model"]), Ok(json!([])));
    }

    #[test]
    fn groups_are_in_order_and_keep_their_digits() {
        let cells = |n: u64| format!(r#"[[1, {n}, "{n}"], [0, {n}, "{n}"]]"#);
        let values = [
            "18446744073709551618",
            "\"b\"",
            "18446744073709551617",
            "\"1\"",
            "1",
            "null",
        ];
        let listed: Vec<String> = (1..)
            .zip(values)
            .map(|(n, value)| format!("[[{value}], {}]", cells(n)))
            .collect();
        let found = found("sum", 21, &format!("[{}]", listed.join(",")));
        let got = groups(&found, &["model".to_owned()]).expect("nothing is lost");
        let named: Vec<_> = got
            .iter()
            .map(|g| (g.group["model"].0.get(), g.events))
            .collect();
        let expected = [
            ("\"1\"", 4),
            ("\"b\"", 2),
            ("1", 5),
            ("18446744073709551617", 3),
            ("18446744073709551618", 1),
            ("null", 6),
        ];
        assert_eq!(named, expected);
        let text = serde_json::to_string(&got[3].group).unwrap_or_default();
        assert_eq!(text, r#"{"model":18446744073709551617}"#);
    }

    #[test]
    fn usage_that_is_lost_is_no_answer() {
        let table = [
            (3, r#"[[[1], [[1, 3, "3"], [0, 3, "3"]]]]"#, None),
            // A group is missing, or there twice.
            (4, r#"[[[1], [[1, 3, "3"], [0, 3, "3"]]]]"#, Some((3, 4))),
            (
                3,
                r#"[[[1], [[1, 3, "3"], [0, 3, "3"]]], [[1], [[1, 3, "3"], [0, 3, "3"]]]]"#,
                Some((6, 3)),
            ),
            // A bucket is.
            (3, r#"[[[1], [[1, 2, "2"], [0, 3, "3"]]]]"#, Some((2, 3))),
            (
                3,
                r#"[[[1], [[1, 2, "2"], [1, 1, "1"], [0, 3, "3"]]]]"#,
                Some((1, 3)),
            ),
            (
                3,
                r#"[[[1], [[1, 2, "2"], [4, 1, "1"], [0, 3, "3"]]]]"#,
                Some((2, 3)),
            ),
        ];
        for (events, groups, expected) in table {
            let got = shown(&found("sum", events, groups), &["model"]).err();
            let expected = expected.map(|(grouped, counted)| Mismatch { grouped, counted });
            assert_eq!(got, expected, "{groups}");
        }
    }
}
