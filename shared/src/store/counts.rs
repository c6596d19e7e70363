//! Counts of what happens, for operators: kept in the instance's memory, and added to the table
//! `operation_counts` after answers.
//!
//! An instance hands over what it has counted soon after its first count, and then less and less
//! often. It may answer but a few requests, or one, and what it keeps when it ends is lost. Handing
//! over is no part of a request: it delays none, fails none, and is none of its statements.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use spin_sdk::pg::{DbValue, ParameterValue};
use spin_sdk::{time, wasip3};

use crate::http::after_answer;
use crate::store::db::{self, Aside};

/// The pause before an instance hands over its first counts. An instance that Spin lets answer 128
/// requests is done with them by then, when it is busy.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause. It doubles until then.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How often an instance that counts nothing more tries to hand over what it has. With the pauses
/// above that is for 20 seconds at least; it tries again after its next count.
const MAX_ATTEMPTS: u32 = 10;

/// How long one statement may take.
const PATIENCE: Duration = Duration::from_secs(2);

thread_local! {
    static COUNTS: RefCell<Counts> = RefCell::default();
    static PAUSE: Cell<Duration> = const { Cell::new(FIRST_PAUSE) };
    static IS_HANDING_OVER: Cell<bool> = const { Cell::new(false) };
}

/// One number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Count {
    name: &'static str,
    label: &'static str,
    count: u64,
}

/// What was counted and not handed over. A component counts few things, so that to look through
/// them takes less than to hash.
#[derive(Debug, Default)]
struct Counts(Vec<Count>);

impl Counts {
    fn add(&mut self, name: &'static str, label: &'static str, count: u64) {
        let mut known = self.0.iter_mut();
        match known.find(|known| known.name == name && known.label == label) {
            Some(known) => known.count += count,
            None => self.0.push(Count { name, label, count }),
        }
    }
}

/// Counts that `name` happened `count` times with `label`. Both are texts of the source, so that
/// there are few of them.
pub fn add(name: &'static str, label: &'static str, count: u64) {
    if count == 0 {
        return;
    }
    COUNTS.with_borrow_mut(|counts| counts.add(name, label, count));
    after_answer::begin_later(hand_over_later);
}

/// Sees to it that somebody hands over what was counted.
fn hand_over_later(component: &'static str) {
    if !IS_HANDING_OVER.replace(true) {
        wasip3::spawn(async move {
            let _handing_over = HandingOver;
            hand_over_repeatedly(component).await;
        });
    }
}

/// Lets another task hand over, however this one ends.
struct HandingOver;

impl Drop for HandingOver {
    fn drop(&mut self) {
        IS_HANDING_OVER.set(false);
    }
}

async fn hand_over_repeatedly(component: &'static str) {
    for _ in 0..MAX_ATTEMPTS {
        let pause = PAUSE.get();
        time::sleep(pause).await;
        PAUSE.set((pause * 2).min(MAX_PAUSE));
        let counts = COUNTS.take().0;
        if !hand_over(component, &counts).await {
            COUNTS.with_borrow_mut(|kept| {
                for Count { name, label, count } in counts {
                    kept.add(name, label, count);
                }
            });
        }
        if COUNTS.with_borrow(|counts| counts.0.is_empty()) {
            return;
        }
    }
}

/// Whether the counts are not to be handed over again. When nobody knows whether they were taken,
/// they are not, so that nothing is counted twice.
async fn hand_over(component: &'static str, counts: &[Count]) -> bool {
    let texts = |text: fn(&Count) -> &'static str| {
        let texts = counts.iter().map(|count| Some(text(count).to_owned()));
        ParameterValue::ArrayStr(texts.collect())
    };
    let numbers = counts.iter().map(|count| i64::try_from(count.count).ok());
    let parameters = [
        component.to_owned().into(),
        texts(|count| count.name),
        texts(|count| count.label),
        ParameterValue::ArrayInt64(numbers.collect()),
    ];
    let sql = "SELECT operation_counts_add($1, $2, $3, $4)";
    match db::call_aside(PATIENCE, sql, &parameters).await {
        Aside::Done(row) => matches!(row.as_slice(), [DbValue::Boolean(true)]),
        Aside::NotSent => false,
        Aside::Unknown => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_sums_by_name_and_label() {
        let mut counts = Counts::default();
        for (name, label, count) in [
            ("cache_hits", "user", 1),
            ("cache_hits", "token", 2),
            ("cache_misses", "user", 3),
            ("cache_hits", "user", 4),
        ] {
            counts.add(name, label, count);
        }
        let count = |name, label, count| Count { name, label, count };
        assert_eq!(
            counts.0,
            [
                count("cache_hits", "user", 5),
                count("cache_hits", "token", 2),
                count("cache_misses", "user", 3),
            ]
        );
    }
}
