//! Makes figures of what was counted.

use std::collections::BTreeMap;

use shared::http::hit_rate;
use shared::http::input::FromText;
use shared::store::cache_key::Namespace;

use crate::operations::{
    CacheFigures, CacheLifetime, CacheNamespaceFigures, CachePatternFigures, CachePeriod,
    CachePeriodName, CacheStats, LifetimeAdvice,
};
use crate::queries::{Count, Counted};

/// Look-ups of a day that say something about lifetimes.
const ENOUGH_LOOK_UPS: u64 = 1_000;

pub fn stats(counted: Counted) -> CacheStats {
    let Counted {
        hour_since,
        day_since,
        counts,
    } = counted;
    let period = |period, since, number: fn(&Count) -> u64| {
        let namespaces = namespaces(&counts, number);
        let mut total = CacheFigures::default();
        for namespace in &namespaces {
            add(&mut total, &namespace.figures);
        }
        CachePeriod {
            period,
            since,
            total: with_rate(total),
            namespaces,
        }
    };
    CacheStats {
        periods: vec![
            period(CachePeriodName::LastHour, Some(hour_since), |count| {
                count.last_hour
            }),
            period(CachePeriodName::LastDay, Some(day_since), |count| {
                count.last_day
            }),
            period(CachePeriodName::SinceStart, None, |count| count.since_start),
        ],
        lifetimes: Namespace::ALL
            .into_iter()
            .filter_map(|namespace| lifetime(namespace, &counts))
            .collect(),
    }
}

/// The namespace of a label.
fn namespace_of(label: &str) -> &str {
    label.split(':').next().unwrap_or(label)
}

fn namespaces(counts: &[Count], number: fn(&Count) -> u64) -> Vec<CacheNamespaceFigures> {
    let mut patterns: BTreeMap<&str, CacheFigures> = BTreeMap::new();
    for count in counts {
        let happened = number(count);
        let figures = match happened {
            0 => continue,
            _ => patterns.entry(&count.label).or_default(),
        };
        match count.name.as_str() {
            "cache_hits" => figures.hits += happened,
            "cache_misses" => figures.misses += happened,
            "cache_bypasses" => figures.bypasses += happened,
            "cache_errors" => figures.errors += happened,
            // Parts of the others.
            _ => {}
        }
    }
    let mut namespaces: Vec<CacheNamespaceFigures> = Vec::new();
    for (label, figures) in patterns {
        let (Ok(namespace), Ok(pattern)) = (
            FromText::from_text(namespace_of(label)),
            FromText::from_text(label),
        ) else {
            continue;
        };
        if namespaces
            .last()
            .is_none_or(|last| last.namespace != namespace)
        {
            namespaces.push(CacheNamespaceFigures {
                namespace,
                figures: CacheFigures::default(),
                patterns: Vec::new(),
            });
        }
        if let Some(last) = namespaces.last_mut() {
            add(&mut last.figures, &figures);
            last.patterns.push(CachePatternFigures {
                pattern,
                figures: with_rate(figures),
            });
        }
    }
    for namespace in &mut namespaces {
        namespace.figures = with_rate(std::mem::take(&mut namespace.figures));
    }
    namespaces
}

fn add(sum: &mut CacheFigures, figures: &CacheFigures) {
    sum.hits += figures.hits;
    sum.misses += figures.misses;
    sum.bypasses += figures.bypasses;
    sum.errors += figures.errors;
}

fn with_rate(figures: CacheFigures) -> CacheFigures {
    let rate = hit_rate::percent(figures.hits, figures.hits + figures.misses);
    CacheFigures {
        hit_rate: rate.and_then(|rate| FromText::from_text(&rate).ok()),
        ..figures
    }
}

fn lifetime(namespace: Namespace, counts: &[Count]) -> Option<CacheLifetime> {
    let sum = |name: &str| -> u64 {
        let of_it = counts
            .iter()
            .filter(|count| count.name == name && namespace_of(&count.label) == namespace.name());
        of_it.map(|count| count.last_day).sum()
    };
    let (hits, late_hits) = (sum("cache_hits"), sum("cache_hits_late"));
    let expired_misses = sum("cache_misses_expired");
    Some(CacheLifetime {
        namespace: FromText::from_text(namespace.name()).ok()?,
        ttl_secs: namespace.ttl_secs(),
        late_hits,
        expired_misses,
        advice: advice(hits, sum("cache_misses"), late_hits, expired_misses),
    })
}

fn advice(hits: u64, misses: u64, late_hits: u64, expired_misses: u64) -> LifetimeAdvice {
    let look_ups = hits + misses;
    if look_ups < ENOUGH_LOOK_UPS {
        LifetimeAdvice::TooFewLookUps
    } else if expired_misses * 20 >= look_ups {
        LifetimeAdvice::Longer
    } else if late_hits * 100 < hits {
        LifetimeAdvice::Shorter
    } else {
        LifetimeAdvice::Keep
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What was counted of a name and a label in the last hour, the last day and in all.
    fn counted(rows: &[(&str, &str, [u64; 3])]) -> Counted {
        let counts = rows.iter().map(|(name, label, [hour, day, all])| {
            json!({"name": name, "label": label, "last_hour": hour, "last_day": day, "since_start": all})
        });
        let counted = json!({
            "hour_since": "2026-11-21T08:00:00.000000Z", "day_since": "2026-11-20T10:00:00.000000Z",
            "counts": counts.collect::<Value>(),
        });
        serde_json::from_value(counted).expect("a document as cache_stats makes it")
    }

    #[test]
    fn figures_are_sums_by_namespace_and_period() {
        let counted = counted(&[
            ("cache_hits", "usage_summary:{token}:{query}", [2, 3, 4]),
            ("cache_misses", "usage_summary:{token}:{query}", [1, 1, 1]),
            (
                "cache_hits",
                "usage_summary:{organization}:{query}",
                [0, 5, 5],
            ),
            (
                "cache_hits_late",
                "usage_summary:{token}:{query}",
                [1, 1, 1],
            ),
            ("cache_errors", "generation:auth", [0, 0, 7]),
        ]);
        let shown = serde_json::to_value(stats(counted)).expect("plain data");
        let [hour, day, all] = [0, 1, 2].map(|index| shown["periods"][index].clone());
        let figures = |hits: u64, misses: u64, errors: u64, rate: Value| json!({"hits": hits, "misses": misses, "bypasses": 0, "errors": errors, "hit_rate": rate});
        assert_eq!(hour["period"], "last_hour");
        assert_eq!(hour["since"], "2026-11-21T08:00:00.000000Z");
        assert_eq!(hour["total"], figures(2, 1, 0, json!("66.6")));
        assert_eq!(
            hour["namespaces"][0]["patterns"].as_array().map(Vec::len),
            Some(1)
        );
        assert_eq!(day["total"], figures(8, 1, 0, json!("88.8")));
        assert_eq!(day["namespaces"].as_array().map(Vec::len), Some(1));
        assert_eq!(day["namespaces"][0]["hits"], 8);
        assert_eq!(all["since"], Value::Null);
        assert_eq!(all["total"], figures(9, 1, 7, json!("90.0")));
        assert_eq!(all["namespaces"][0]["namespace"], "generation");
        assert_eq!(all["namespaces"][0]["hit_rate"], Value::Null);
        assert_eq!(
            shown["lifetimes"].as_array().map(Vec::len),
            Some(Namespace::ALL.len())
        );
    }

    #[test]
    fn advice_on_lifetimes() {
        let table = [
            ((0, 0, 0, 0), LifetimeAdvice::TooFewLookUps),
            ((999, 0, 0, 999), LifetimeAdvice::TooFewLookUps),
            ((950, 50, 500, 50), LifetimeAdvice::Longer),
            ((950, 50, 500, 49), LifetimeAdvice::Keep),
            ((1_000, 0, 10, 0), LifetimeAdvice::Keep),
            ((1_000, 0, 9, 0), LifetimeAdvice::Shorter),
            ((0, 1_000, 0, 0), LifetimeAdvice::Keep),
        ];
        for ((hits, misses, late, expired), expected) in table {
            let got = advice(hits, misses, late, expired);
            assert_eq!(got, expected, "{hits} {misses} {late} {expired}");
        }
    }
}
