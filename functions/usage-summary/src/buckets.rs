//! From the buckets that something was counted in to all of the range.

use serde_json::Value;
use shared::metering::{Aggregation, UsageQuantity};

use crate::operations::{UsageBucket, UsageGroup};
use crate::queries::Found;

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

fn empty_group(found: &Found, names: &[String], values: &[Value]) -> UsageGroup {
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
        group: names.iter().cloned().zip(values.iter().cloned()).collect(),
        value: nothing(found.aggregation),
        events: 0,
        buckets: buckets.collect(),
    }
}

/// The groups in the order of their values, each with every bucket of the range.
/// Without properties to group by there is one group, for whatever there is.
pub fn groups(found: &Found, names: &[String]) -> Vec<UsageGroup> {
    let mut cells: Vec<_> = found
        .cells
        .iter()
        .map(|cell| (key(&cell.1), cell))
        .collect();
    cells.sort_by(|a, b| a.0.cmp(&b.0));
    let mut groups: Vec<(String, UsageGroup)> = Vec::new();
    if names.is_empty() {
        groups.push((key(&[]), empty_group(found, names, &[])));
    }
    for (key, cell) in cells {
        if groups.last().is_none_or(|(last, _)| *last != key) {
            groups.push((key, empty_group(found, names, &cell.1)));
        }
        let Some((_, group)) = groups.last_mut() else {
            continue;
        };
        let (value, events) = match cell.0.checked_sub(1) {
            None => (&mut group.value, &mut group.events),
            Some(at) => match group.buckets.get_mut(at) {
                Some(bucket) => (&mut bucket.value, &mut bucket.events),
                None => continue,
            },
        };
        value.clone_from(&cell.3);
        *events = cell.2;
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn key(values: &[Value]) -> String {
    Value::Array(values.to_vec()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(aggregation: &str, cells: Value) -> Found {
        serde_json::from_value(json!({
            "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5",
            "token_expires_millis": 1, "valid_until_millis": 1,
            "meter": "calls", "aggregation": aggregation, "time_zone": "UTC", "since": "a", "until": "d", "starts": ["a", "b", "c"],
            "cells": cells,
        }))
        .expect("the tests write what the statement does")
    }

    #[test]
    fn gaps_are_filled() {
        let cells = json!([[2, [], 3, "5.5"], [0, [], 3, "5.5"]]);
        let got = serde_json::to_value(groups(&found("sum", cells), &[])).ok();
        let bucket = |from: &str, to: &str, value: &str, events: u64| json!({"starts_at": from, "ends_at": to, "value": value, "events": events});
        let expected = json!([{"group": {}, "value": "5.5", "events": 3, "buckets": [
            bucket("a", "b", "0", 0), bucket("b", "c", "5.5", 3), bucket("c", "d", "0", 0)]}]);
        assert_eq!(got, Some(expected));
    }

    #[test]
    fn nothing_is_a_group_without_groups_and_none_with() {
        let empty = groups(&found("max", json!([])), &[]);
        assert_eq!(empty.len(), 1);
        assert_eq!((&empty[0].value, empty[0].buckets.len()), (&None, 3));
        assert!(groups(&found("max", json!([])), &["model".to_owned()]).is_empty());
    }

    #[test]
    fn groups_are_in_order() {
        let cells = json!([
            [1, ["b"], 1, "1"],
            [0, ["b"], 1, "1"],
            [3, ["a"], 2, "4"],
            [0, ["a"], 2, "4"],
            [0, [null], 1, "9"]
        ]);
        let got = groups(&found("sum", cells), &["model".to_owned()]);
        let named: Vec<_> = got
            .iter()
            .map(|g| (&g.group["model"], g.value.as_deref()))
            .collect();
        let expected = [
            (&json!("a"), Some("4")),
            (&json!("b"), Some("1")),
            (&Value::Null, Some("9")),
        ];
        assert_eq!(named, expected);
    }
}
