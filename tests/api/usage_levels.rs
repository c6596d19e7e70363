//! A meter of time counts each level until the next one of its subject and group: the same for
//! every range, however long ago the level was set, and whether its event is still there.

use std::collections::BTreeMap;

use futures::future::join_all;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use turnpike_tests::personas::decimal;
use turnpike_tests::{Random, TestHost, User, api_tests};

use crate::metering::{
    METERS, SUMMARY, UPKEEP, groups, meter, now_micros, rfc3339, send, total, whole_range,
};
use crate::refusals::refuse;

const QUARTER_MICROS: i64 = 15 * 60 * 1_000_000;
const DAY_MICROS: i64 = 96 * QUARTER_MICROS;
/// More than the 13 months that events are kept beyond the current one.
const AGED_DAYS: i64 = 460;

api_tests![
    a_level_lasts_until_it_changes,
    a_level_ends_with_its_meter,
    parallel_senders_set_each_level_once,
    is_bounded,
];

/// The levels of each subject and model, by when they were set.
#[derive(Debug, Clone, Default)]
struct Levels(BTreeMap<(u64, u64), BTreeMap<i64, Decimal>>);

impl Levels {
    fn set(&mut self, subject: u64, model: u64, micros: i64, level: Decimal) {
        let series = self.0.entry((subject, model)).or_default();
        let at = series.entry(micros).or_insert(level);
        *at = level.max(*at);
    }

    /// Each level times its seconds in the range, by the definition.
    fn sum(&self, subject: Option<u64>, model: Option<u64>, since: i64, until: i64) -> Decimal {
        let mut sum = Decimal::ZERO;
        for ((own_subject, own_model), series) in &self.0 {
            if subject.is_some_and(|s| s != *own_subject) || model.is_some_and(|m| m != *own_model)
            {
                continue;
            }
            let ends = series.keys().skip(1).chain([&i64::MAX]);
            for ((began, level), ended) in series.iter().zip(ends) {
                let micros = (*ended).min(until) - (*began).max(since);
                sum += *level * Decimal::new(micros.max(0), 6);
            }
        }
        sum
    }

    fn aged(&self, micros: i64) -> Self {
        let aged = |series: &BTreeMap<i64, Decimal>| {
            series
                .iter()
                .map(|(at, level)| (at - micros, *level))
                .collect()
        };
        Self(self.0.iter().map(|(of, s)| (*of, aged(s))).collect())
    }
}

fn query(since: i64, until: i64) -> String {
    format!(
        "meter=seats&interval=month&since={}&until={}",
        rfc3339(since),
        rfc3339(until)
    )
}

/// The value of a range, which must be that of its groups and of any parts that it is cut into.
async fn check_range(
    host: &TestHost,
    user: &User,
    random: &mut Random,
    levels: &Levels,
    [since, until]: [i64; 2],
) {
    let model_of = |group: &Value| group["group"]["model"].as_u64();
    for subject in [None, Some(random.below(3))] {
        let of = subject.map_or(String::new(), |s| format!("&subject=cus_{s}"));
        let whole = format!("{}{of}", query(since, until));
        let expected = levels.sum(subject, None, since, until);
        let (value, _) = total(host, &user.token, &whole).await;
        assert_eq!(value.as_deref().map(decimal), Some(expected), "{whole}");
        let shown = groups(host, &user.token, &format!("{whole}&group_by=model")).await;
        let mut sum = Decimal::ZERO;
        for group in &shown {
            let value = decimal(group["value"].as_str().unwrap_or_default());
            let expected = levels.sum(subject, model_of(group), since, until);
            assert_eq!(value, expected, "{whole} {group}");
            let buckets = group["buckets"].as_array().cloned().unwrap_or_default();
            let of_bucket = |b: &Value| decimal(b["value"].as_str().unwrap_or_default());
            assert_eq!(
                buckets.iter().map(of_bucket).sum::<Decimal>(),
                value,
                "{whole}"
            );
            sum += value;
        }
        assert_eq!(sum, expected, "the groups of {whole}");
        // Cut anywhere between two quarters.
        let quarters = u64::try_from((until - since) / QUARTER_MICROS).unwrap_or(0);
        let mut cuts: Vec<i64> = (0..random.below(4))
            .map(|_| since + i64::try_from(random.below(quarters)).unwrap_or(0) * QUARTER_MICROS)
            .chain([since, until])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut parts = Decimal::ZERO;
        for part in cuts.windows(2) {
            let (value, _) = total(
                host,
                &user.token,
                &format!("{}{of}", query(part[0], part[1])),
            )
            .await;
            parts += decimal(&value.unwrap_or_default());
        }
        assert_eq!(parts, expected, "{whole} in parts {cuts:?}");
    }
}

async fn a_level_lasts_until_it_changes(host: &TestHost) {
    let mut random = Random::seeded("usage levels");
    let admin = host.platform_admin().await;
    let by_model = json!({"group_by": ["model"]});
    meter(host, &admin.token, "seats", "time_weighted_sum", by_model).await;
    // From 33 days ago until two days ago, in any order, some at one moment. With one more, an event
    // would be too old when midnight comes meanwhile.
    let today = now_micros() / DAY_MICROS * DAY_MICROS;
    let first = today - 33 * DAY_MICROS;
    let mut levels = Levels::default();
    let events: Vec<Value> = (0..240)
        .map(|n| {
            let seconds = random.below(31 * 86_400) / [1, 600, 7_200][n % 3] * [1, 600, 7_200][n % 3];
            let micros = first + i64::try_from(seconds).unwrap_or(0) * 1_000_000;
            let level = Decimal::new(i64::try_from(random.below(9_000)).unwrap_or(0), 2);
            let (subject, model) = (random.below(3), random.below(3));
            levels.set(subject, model, micros, level);
            json!({"id": n.to_string(), "type": "call", "time": rfc3339(micros), "subject": format!("cus_{subject}"),
                   "properties": {"n": level.to_string(), "model": model}})
        })
        .collect();
    for batch in events.chunks(50) {
        assert_eq!(
            send(host, &admin.token, &json!(batch)).await,
            [batch.len() as u64, 0, 0]
        );
    }
    // One that is sent again changes nothing.
    assert_eq!(
        send(host, &admin.token, &json!(events[..50])).await,
        [0, 50, 0]
    );
    let range = |random: &mut Random, days: i64| {
        let quarters = u64::try_from(days * 96).unwrap_or(1);
        let at = |random: &mut Random| i64::try_from(random.below(quarters)).unwrap_or(0);
        let (one, other) = (at(random), at(random));
        [one.min(other), one.max(other) + 1].map(|at| at * QUARTER_MICROS)
    };
    // Until today at most, because a level counts until now.
    for _ in 0..6 {
        let range = range(&mut random, 34).map(|at| first - DAY_MICROS + at);
        check_range(host, &admin, &mut random, &levels, range).await;
    }

    // As it will be after 460 days.
    host.execute(&format!(
        "DO $$ BEGIN FOR n IN -17..-14 LOOP PERFORM usage_partition_create(
                         date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n)); END LOOP; END $$;
         UPDATE usage_event_batches SET time = time - interval '{AGED_DAYS} days';
         UPDATE usage_levels SET time = time - interval '{AGED_DAYS} days'"
    ))
    .await;
    let mut levels = levels.aged(AGED_DAYS * DAY_MICROS);
    let first = first - AGED_DAYS * DAY_MICROS;
    let ranges: Vec<[i64; 2]> = (0..4)
        .map(|n| range(&mut random, [36, 493][n % 2]).map(|at| first + at))
        // A month in which nothing was set, long after.
        .chain([[today - 40 * DAY_MICROS, today - 10 * DAY_MICROS]])
        .collect();
    let mut before = Vec::new();
    for [since, until] in &ranges {
        before.push(
            groups(
                host,
                &admin.token,
                &(query(*since, *until) + "&group_by=model"),
            )
            .await,
        );
    }
    let upkeep = host.post(UPKEEP).bearer(&admin.token).send().await;
    let upkeep = upkeep.expect(200).json();
    assert_ne!(upkeep["dropped"], json!([]), "{upkeep}");
    let left = host.query("SELECT count(*) FROM usage_events").await;
    assert_eq!(left[0].get::<_, i64>(0), 0, "no event is left");
    for (range, before) in ranges.iter().zip(before) {
        let query = query(range[0], range[1]) + "&group_by=model";
        assert_eq!(groups(host, &admin.token, &query).await, before, "{query}");
        check_range(host, &admin, &mut random, &levels, *range).await;
    }

    // What is set now ends what was set then, and a late one what was set before it.
    for (id, micros, level) in [
        ("now", today - 5 * DAY_MICROS, 7),
        ("late", today - 20 * DAY_MICROS, 0),
    ] {
        levels.set(1, 1, micros, Decimal::from(level));
        let event = json!({"id": id, "type": "call", "time": rfc3339(micros), "subject": "cus_1",
                           "properties": {"n": level, "model": 1.0}});
        assert_eq!(send(host, &admin.token, &event).await, [1, 0, 0]);
        for range in [[first, today], [today - 30 * DAY_MICROS, today]] {
            check_range(host, &admin, &mut random, &levels, range).await;
        }
    }
    // A group whose levels all ended in nothing is there as long as the range has one of them.
    for (subject, micros) in (0..3).zip([today - 4 * DAY_MICROS; 3]) {
        let event = json!({"id": format!("end-{subject}"), "type": "call", "time": rfc3339(micros),
                           "subject": format!("cus_{subject}"), "properties": {"n": 0, "model": 2}});
        assert_eq!(send(host, &admin.token, &event).await, [1, 0, 0]);
    }
    for (since, expected) in [(4, 3), (3, 2)] {
        let query = query(today - since * DAY_MICROS, today) + "&group_by=model";
        assert_eq!(
            groups(host, &admin.token, &query).await.len(),
            expected,
            "{query}"
        );
    }
    host.assert_usage_is_sound().await;
}

async fn a_level_ends_with_its_meter(host: &TestHost) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "seats", "time_weighted_sum", json!({})).await;
    let began = now_micros() / QUARTER_MICROS * QUARTER_MICROS - DAY_MICROS;
    let event = |id: &str, micros: i64, n: u32| json!({"id": id, "type": "call", "time": rfc3339(micros), "properties": {"n": n}});
    // What is ahead of now has not begun.
    let events = json!([
        event("a", began, 3),
        event("b", now_micros() + 30 * 60 * 1_000_000, 1_000)
    ]);
    assert_eq!(send(host, &user.token, &events).await, [2, 0, 0]);
    let query = format!("meter=seats&{}", whole_range());
    let before = now_micros();
    let running = total(host, &user.token, &query).await;
    let after = now_micros();
    let product = |until: i64| Decimal::from(3) * Decimal::new(until - began, 6);
    let value = decimal(&running.0.unwrap_or_default());
    assert!(
        (product(before)..=product(after)).contains(&value),
        "{value} is from {} to {}",
        product(before),
        product(after)
    );
    assert_eq!(running.1, 2);
    let archive = host.delete(format!("{METERS}/seats")).bearer(&user.token);
    let archived = archive.send().await.expect(200);
    let rows = host
        .query("SELECT (extract(epoch FROM archived_at) * 1000000)::bigint FROM meters")
        .await;
    let ended: i64 = rows[0].get(0);
    assert!(archived.text_at("/meter/archived_at").ends_with('Z'));
    for _ in 0..3 {
        let value = total(host, &user.token, &query).await.0;
        let value = value.as_deref().map(decimal);
        assert_eq!(value, Some(product(ended)), "it grows no more");
    }
}

async fn parallel_senders_set_each_level_once(host: &TestHost) {
    let user = host.new_user("ada").await;
    let by_model = json!({"group_by": ["model"]});
    meter(host, &user.token, "seats", "time_weighted_sum", by_model).await;
    let since = (now_micros() / DAY_MICROS - 3) * DAY_MICROS;
    let mut levels = Levels::default();
    // Each sender has the same moments of the same series, in another order, and sends twice.
    let batches: Vec<Value> = (0..8_u64)
        .map(|sender| {
            let mut batch: Vec<Value> = (0..60_u64)
                .map(|n| {
                    let (subject, model) = (n % 3, n % 2);
                    let micros = since + i64::try_from(n / 6).unwrap_or(0) * 3_600_000_000;
                    let level = (sender * 31 + n * 17) % 101;
                    levels.set(subject, model, micros, Decimal::from(level));
                    json!({"id": format!("{sender}-{n}"), "type": "call", "time": rfc3339(micros),
                           "subject": format!("cus_{subject}"), "properties": {"n": level, "model": model}})
                })
                .collect();
            batch.rotate_left(usize::try_from(sender * 7).unwrap_or(0));
            json!(batch)
        })
        .collect();
    let sent = join_all(
        batches
            .iter()
            .chain(&batches)
            .map(|batch| send(host, &user.token, batch)),
    );
    let accepted: u64 = sent.await.iter().map(|[accepted, ..]| accepted).sum();
    assert!(
        accepted <= 480,
        "each once, though answers may have been lost"
    );
    let until = since + 2 * DAY_MICROS;
    for subject in [None, Some(0), Some(1), Some(2)] {
        let of = subject.map_or(String::new(), |s| format!("&subject=cus_{s}"));
        let (value, events) =
            total(host, &user.token, &format!("{}{of}", query(since, until))).await;
        let expected = levels.sum(subject, None, since, until);
        assert_eq!(value.as_deref().map(decimal), Some(expected), "{subject:?}");
        assert_eq!(events, if subject.is_some() { 160 } else { 480 });
    }
    host.assert_usage_is_sound().await;
}

async fn is_bounded(host: &TestHost) {
    let user = host.new_user("ada").await;
    let by_model = json!({"group_by": ["model"]});
    meter(host, &user.token, "seats", "time_weighted_sum", by_model).await;
    // 401 groups of 25 days are more than 10,000 buckets, and none of them has an event there.
    host.execute(
        "INSERT INTO usage_levels
         SELECT m.organization_id, m.id, 'cus_' || n, '[' || n || ']', '2026-01-01Z', 1, 1 FROM meters m, generate_series(0, 400) n;
         INSERT INTO usage_level_series SELECT organization_id, meter_id, subject, group_key FROM usage_levels",
    )
    .await;
    let get = |query: &str| {
        host.get(format!("{SUMMARY}?meter=seats&{query}"))
            .bearer(&user.token)
    };
    let days = get("since=2026-10-01&until=2026-10-26&group_by=model");
    refuse(host, days, 400, "invalid_parameter", &["group_by"]).await;
    let shown = get("since=2026-10-01&until=2026-10-25&group_by=model")
        .send()
        .await;
    let shown = shown.expect(200).json();
    assert_eq!(shown["groups"].as_array().map(Vec::len), Some(401));
    // The levels of 10,000 series are summed up, and of one more they are not.
    for (more, is_refused) in [(9_599, false), (1, true)] {
        host.execute(&format!(
            "WITH levels AS (
                 INSERT INTO usage_levels
                 SELECT m.organization_id, m.id, 'more_{more}_' || n, '[0]', '2026-01-01Z', 1, 1
                   FROM meters m, generate_series(1, {more}) n
                 RETURNING *
             )
             INSERT INTO usage_level_series SELECT organization_id, meter_id, subject, group_key FROM levels"
        ))
        .await;
        let all = get("since=2026-10-01&until=2026-10-25");
        if is_refused {
            refuse(host, all.clone(), 400, "invalid_parameter", &["subject"]).await;
            let refused = all.send().await;
            assert_eq!(refused.text_at("/errors/0/code"), "too_many_series");
        } else {
            let sum = all.send().await.expect(200).text_at("/groups/0/value");
            assert_eq!(sum, (10_000 * 24 * 86_400_u64).to_string());
        }
        let one = get("since=2026-10-01&until=2026-10-25&subject=cus_7");
        let one = one.send().await.expect(200);
        assert_eq!(one.text_at("/groups/0/value"), (24 * 86_400).to_string());
    }
}
