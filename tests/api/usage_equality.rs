//! Which values are one is one rule, for groups, filters, distinct values and levels: equal JSON.
//! A number is equal to a number by its value, with all its digits, and to no text.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnpike_tests::personas::decimal;
use turnpike_tests::{Random, TestHost, User, api_tests};

use crate::metering::{
    EVENTS, METERS, SUMMARY, meter, now_micros, rfc3339, send, total, whole_range,
};

/// Values that are equal, as events may write them. The first is how they are shown. An empty
/// one is no property at all.
const EQUAL: [&[&str]; 18] = [
    &[
        "18446744073709551617",
        "18446744073709551617.0",
        "1.8446744073709551617e19",
    ],
    &["18446744073709551618", "1844674407370955161800e-2"],
    &["\"18446744073709551617\""],
    &["0.12345678901234567891", "12345678901234567891E-20"],
    &["0.12345678901234567892", "0.123456789012345678920"],
    &["1", "1.0", "1e0", "10e-1", "100E-2"],
    &["\"1\""],
    &["\"1.0\""],
    &["0", "-0", "0.00", "-0e3"],
    &["\"0\""],
    &["true"],
    &["\"true\"", "\"\\u0074rue\""],
    &["\"\""],
    &["\"null\""],
    &["null", ""],
    &["{\"a\": 1}", "{\"a\":1.0}", "{ \"a\" : 10e-1 }"],
    &["[1, \"1\"]", "[1.0,\"1\"]"],
    &["[]"],
];

/// Those that a filter can ask for and of which distinct ones are counted.
const SCALARS: usize = 14;

api_tests![
    the_sum_over_groups_is_the_whole,
    filters_and_distinct_values_have_one_rule,
    a_path_names_members_of_objects,
];

#[derive(Deserialize)]
struct Shown {
    groups: Vec<ShownGroup>,
}

#[derive(Deserialize)]
struct ShownGroup {
    group: BTreeMap<String, Box<RawValue>>,
    value: String,
    events: u64,
}

/// The groups of a summary, whose values are not read: a reader may make floats of them.
async fn shown(host: &TestHost, user: &User, query: &str) -> Vec<ShownGroup> {
    let call = host.get(format!("{SUMMARY}?{query}")).bearer(&user.token);
    let response = call.send().await.expect(200);
    match serde_json::from_slice::<Shown>(&response.body) {
        Ok(shown) => shown.groups,
        Err(error) => response.fail(&format!("the body must be a summary: {error}")),
    }
}

/// Sends events as they are written.
async fn send_written(host: &TestHost, user: &User, events: &[String]) {
    let call = host.post(EVENTS).bearer(&user.token);
    let call = call.json_text(format!("[{}]", events.join(",")));
    let body = call.settle().await.expect(200).json();
    assert_eq!(body["rejected"], 0, "{body}");
}

async fn the_sum_over_groups_is_the_whole(host: &TestHost) {
    let mut random = Random::seeded("usage equality");
    let user = host.new_user("ada").await;
    let group_by = json!({"group_by": ["at.g", "h"]});
    for aggregation in ["count", "sum", "time_weighted_sum"] {
        let slug = aggregation.replace('_', "-");
        meter(host, &user.token, &slug, aggregation, group_by.clone()).await;
    }
    let pick =
        |random: &mut Random, of: usize| usize::try_from(random.below(of as u64)).unwrap_or(0);
    let since = (now_micros() / 86_400_000_000 - 2) * 86_400_000_000;
    let until = since + 86_400_000_000;
    // By the values that are equal: the events, and the sum of their numbers.
    let mut expected: BTreeMap<(usize, usize), (u64, Decimal)> = BTreeMap::new();
    let events: Vec<String> = (0..900)
        .map(|n| {
            let (g, h) = (pick(&mut random, EQUAL.len()), pick(&mut random, 3));
            let written = |random: &mut Random, name: &str, of: usize| match EQUAL[of][pick(random, EQUAL[of].len())] {
                "" => "\"other\": 5".to_owned(),
                value => format!("\"{name}\": {value}"),
            };
            let number = Decimal::new(i64::try_from(random.below(20_000)).unwrap_or(0) - 10_000, 3);
            let entry = expected.entry((g, h)).or_default();
            *entry = (entry.0 + 1, entry.1 + number);
            let (g, h) = (written(&mut random, "g", g), written(&mut random, "h", h));
            // Each at a moment of its own.
            let time = rfc3339(since + n * 90_000_000);
            format!(
                r#"{{"id": "{n}", "type": "call", "time": "{time}", "subject": "cus_{}", "properties": {{"n": {number}, "at": {{{g}}}, {h}}}}}"#,
                n % 5
            )
        })
        .collect();
    for batch in events.chunks(200) {
        send_written(host, &user, batch).await;
    }
    let range = format!("since={}&until={}", rfc3339(since), rfc3339(until));
    for slug in ["count", "sum", "time-weighted-sum"] {
        for subject in ["", "&subject=cus_3"] {
            let query = format!("meter={slug}&{range}{subject}");
            let whole = &shown(host, &user, &query).await[0];
            for group_by in ["at.g", "h", "at.g,h", "h,at.g"] {
                let query = format!("{query}&group_by={group_by}");
                let groups = shown(host, &user, &query).await;
                let events: u64 = groups.iter().map(|group| group.events).sum();
                assert_eq!(events, whole.events, "{query}");
                let sum: Decimal = groups.iter().map(|group| decimal(&group.value)).sum();
                assert_eq!(sum, decimal(&whole.value), "{query}");
            }
        }
    }
    // Nothing is in a group beside its own, and no group is there twice.
    for slug in ["count", "sum"] {
        let query = format!("meter={slug}&{range}&group_by=at.g,h");
        let groups = shown(host, &user, &query).await;
        let mut got = BTreeMap::new();
        for group in &groups {
            let values = ["at.g", "h"].map(|name| group.group[name].get().to_owned());
            let of = (group.events, decimal(&group.value));
            assert_eq!(got.insert(values, of), None, "{query}");
        }
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|((g, h), (events, sum))| {
                let value = if slug == "count" {
                    Decimal::from(*events)
                } else {
                    *sum
                };
                ([*g, *h].map(|of| EQUAL[of][0].to_owned()), (*events, value))
            })
            .collect();
        assert_eq!(got, expected, "{query}");
    }
    host.assert_usage_is_sound().await;
}

async fn filters_and_distinct_values_have_one_rule(host: &TestHost) {
    let user = host.new_user("ada").await;
    let make = |slug: String, op: &str, value: String| {
        let body = format!(
            r#"{{"slug": "{slug}", "event_type": "{op}", "aggregation": "count", "filters": [{{"property": "g", "op": "{op}", "value": {value}}}]}}"#
        );
        host.post(METERS).bearer(&user.token).json_text(body)
    };
    // However a filter writes its value, and an event its own.
    for (of, equal) in EQUAL[..SCALARS].iter().enumerate() {
        let value = equal[equal.len() - 1].to_owned();
        make(format!("eq-{of}"), "eq", value.clone())
            .send()
            .await
            .expect(201);
        make(format!("ne-{of}"), "ne", value.clone())
            .send()
            .await
            .expect(201);
        let listed = format!("[\"none\", {value}]");
        make(format!("in-{of}"), "in", listed)
            .send()
            .await
            .expect(201);
    }
    let read = host
        .get(format!("{METERS}/eq-0"))
        .bearer(&user.token)
        .send()
        .await;
    let body = String::from_utf8_lossy(&read.expect(200).body).into_owned();
    assert!(body.contains(r#""value":18446744073709551617}"#), "{body}");
    // Of each the same, for the meters of each operator.
    let everything = |op: &str| -> Vec<String> {
        let values = EQUAL.iter().flat_map(|equal| equal.iter()).enumerate();
        let events = values.map(|(n, value)| {
            let properties = match *value {
                "" => String::new(),
                value => format!("\"g\": {value}"),
            };
            format!(r#"{{"id": "{op}-{n}", "type": "{op}", "properties": {{{properties}}}}}"#)
        });
        events.collect()
    };
    for op in ["eq", "ne", "in"] {
        send_written(host, &user, &everything(op)).await;
    }
    let number_of_values = everything("eq").len() as u64;
    for (of, equal) in EQUAL[..SCALARS].iter().enumerate() {
        // A filter that is equal to what is in a list counts that one too, which has 1 and "1".
        let in_lists = match equal[0] {
            "1" | "\"1\"" => EQUAL[16].len(),
            _ => 0,
        };
        let expected = (equal.len() + in_lists) as u64;
        let table = [
            ("eq", expected),
            ("in", expected),
            ("ne", number_of_values - expected),
        ];
        for (op, expected) in table {
            let query = format!("meter={op}-{of}&{}", whole_range());
            let (_, events) = total(host, &user.token, &query).await;
            assert_eq!(events, expected, "{op} {}", equal[0]);
        }
    }
    let unique = json!({"event_type": "seen", "value_property": "g"});
    meter(host, &user.token, "unique", "unique_count", unique).await;
    let scalars: Vec<String> = EQUAL[..SCALARS]
        .iter()
        .flat_map(|equal| equal.iter())
        .enumerate()
        .map(|(n, value)| {
            format!(r#"{{"id": "s{n}", "type": "seen", "properties": {{"g": {value}}}}}"#)
        })
        .collect();
    send_written(host, &user, &scalars).await;
    let (value, events) = total(
        host,
        &user.token,
        &format!("meter=unique&{}", whole_range()),
    )
    .await;
    assert_eq!(value, Some(SCALARS.to_string()));
    assert_eq!(events, scalars.len() as u64);
    // No event could have such a number.
    for number in ["1e21", "123456789012345678901234567890123"] {
        let call = make("over".to_owned(), "in", format!("[1, {number}]"));
        let refused = call.send().await;
        refused.expect_fields(422, "invalid_fields", &["filters[0].value[1]"]);
    }
}

async fn a_path_names_members_of_objects(host: &TestHost) {
    let user = host.new_user("ada").await;
    let filter = |property: &str, op: &str| json!({"filters": [{"property": property, "op": op, "value": 5}], "group_by": [property]});
    for (slug, property, op) in [
        ("place-eq", "a.0", "eq"),
        ("place-ne", "a.0", "ne"),
        ("member-eq", "a.b", "eq"),
        ("member-ne", "a.b", "ne"),
    ] {
        meter(host, &user.token, slug, "count", filter(property, op)).await;
    }
    for (slug, property) in [("place", "a.0"), ("member", "a.b")] {
        let value = json!({"event_type": slug, "value_property": property});
        meter(host, &user.token, slug, "sum", value).await;
    }
    // What the properties are, and whether `a.0` and `a.b` are 5 there.
    let table = [
        (json!({"a": [5]}), false, false),
        (json!({"a": [{"0": 5, "b": 5}]}), false, false),
        (json!({"a": {"0": 5}}), true, false),
        (json!({"a": {"b": 5}}), false, true),
        (json!({"a": {"0": 5.0, "b": 5e0}}), true, true),
        (json!({"a": [[5]]}), false, false),
        // A list is equal to what is in it, and not to what is in a list within it.
        (json!({"a": {"b": [[5]]}}), false, false),
        (json!({"a": 5}), false, false),
        (json!({"a.0": 5, "a.b": 5}), false, false),
        (json!({}), false, false),
    ];
    for (n, (properties, ..)) in table.iter().enumerate() {
        let event = json!({"id": n.to_string(), "type": "call", "properties": properties});
        assert_eq!(send(host, &user.token, &event).await, [1, 0, 0]);
        for (slug, is_there) in [("place", table[n].1), ("member", table[n].2)] {
            let event =
                json!({"id": format!("{slug}-{n}"), "type": slug, "properties": properties});
            let accepted = u64::from(is_there);
            let sent = send(host, &user.token, &event).await;
            assert_eq!(sent, [accepted, 0, 1 - accepted], "{slug} of {properties}");
        }
    }
    let places = table.iter().filter(|row| row.1).count() as u64;
    let members = table.iter().filter(|row| row.2).count() as u64;
    let others = |equal: u64| table.len() as u64 - equal;
    for (slug, property, expected) in [
        ("place-eq", "a.0", vec![(json!(5), places)]),
        ("place-ne", "a.0", vec![(json!(null), others(places))]),
        ("member-eq", "a.b", vec![(json!(5), members)]),
        (
            "member-ne",
            "a.b",
            vec![(json!([[5]]), 1), (json!(null), others(members) - 1)],
        ),
    ] {
        let query = format!("meter={slug}&{}&group_by={property}", whole_range());
        let groups: Vec<Value> = crate::metering::groups(host, &user.token, &query).await;
        let mut got: Vec<(Value, u64)> = groups
            .iter()
            .map(|g| {
                (
                    g["group"][property].clone(),
                    g["events"].as_u64().unwrap_or(0),
                )
            })
            .collect();
        got.sort_by_key(|(_, events)| *events);
        assert_eq!(got, expected, "{slug}: {groups:?}");
    }
}
