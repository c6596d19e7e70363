//! `cargo bench -p turnpike-rating-bench`: the time of one line, by model.

#![allow(
    missing_docs,
    reason = "criterion's macros write functions without any"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rating_bench::{Detail, charge, graduated, quantities};
use serde_json::json;
use shared::money::Currency;
use shared::rating::{Charge, Number, Usage};

fn ten_tiers(criterion: &mut Criterion) {
    let charge = graduated().expect("the model is one");
    let mut group = criterion.benchmark_group("graduated, 10 tiers");
    // In each of the first tiers, and above all bounds.
    for (tiers, usage) in [(1, "500"), (2, "1500"), (5, "4500"), (10, "123456.789")] {
        let usage = Usage::Quantity(Number::parse(usage).expect("a number"));
        for detail in Detail::ALL {
            let id = BenchmarkId::new(detail.name(), format!("{tiers} entered"));
            group.bench_with_input(id, &usage, |bencher, usage| match detail {
                Detail::Rated => {
                    bencher.iter(|| black_box(&charge).rate(Currency::USD, black_box(usage)));
                }
                Detail::Explained => {
                    bencher.iter(|| black_box(&charge).explain(Currency::USD, black_box(usage)));
                }
            });
        }
    }
    group.finish();
}

fn models(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("model");
    let events = Usage::Events(vec![Number::from(25); 100]);
    let quantity = quantities().pop().expect("there are quantities");
    for (name, model, usage) in [
        (
            "per_unit",
            json!({"type": "per_unit", "unit_price": "0.015"}),
            &quantity,
        ),
        (
            "package",
            json!({"type": "package", "package_size": "1000", "package_price": "2.5"}),
            &quantity,
        ),
        (
            "volume",
            json!({"type": "volume", "tiers": [{"up_to": "1000", "unit_price": "1"}, {"unit_price": "0.5"}]}),
            &quantity,
        ),
        (
            "percentage of 100 events",
            json!({"type": "percentage", "rate_percent": "2.9", "fixed_fee": "0.3"}),
            &events,
        ),
        ("dynamic of 100 events", json!({"type": "dynamic"}), &events),
    ] {
        let charge: Charge = charge(&model).expect("the model is one");
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(&charge).rate(Currency::USD, black_box(usage)));
        });
    }
    group.finish();
}

criterion_group!(benches, ten_tiers, models);
criterion_main!(benches);
