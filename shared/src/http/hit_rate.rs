//! How many of the last look-ups of this instance found what they looked for; sent as
//! `X-Cache-Hit-Rate`.

use std::cell::Cell;

/// When as many were counted, both numbers are halved. So the rate is that of the last thousand,
/// the later ones counting more.
const HALVED_AT: u32 = 1_000;

/// The header's value before anything was looked up.
const NONE: &str = "-";

thread_local! {
    static LATEST: Cell<LookUps> = const { Cell::new(LookUps { hits: 0, all: 0 }) };
}

/// Look-ups that the store answered.
#[derive(Debug, Clone, Copy)]
struct LookUps {
    hits: u32,
    all: u32,
}

impl LookUps {
    fn with(self, is_hit: bool) -> Self {
        let counted = Self {
            hits: self.hits + u32::from(is_hit),
            all: self.all + 1,
        };
        if counted.all < HALVED_AT {
            return counted;
        }
        Self {
            hits: counted.hits / 2,
            all: counted.all / 2,
        }
    }

    fn rate(self) -> String {
        let rate = percent(self.hits.into(), self.all.into());
        rate.unwrap_or_else(|| NONE.to_owned())
    }
}

/// A share in percent, with one decimal, rounded down; `None` of nothing.
pub fn percent(part: u64, all: u64) -> Option<String> {
    let per_mille = (part * 1_000).checked_div(all)?;
    Some(format!("{}.{}", per_mille / 10, per_mille % 10))
}

/// Counts a look-up that the store answered.
pub(crate) fn note(is_hit: bool) {
    LATEST.set(LATEST.get().with(is_hit));
}

/// The header's value: percent with one decimal, or `-`.
pub(super) fn latest() -> String {
    LATEST.get().rate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let table = [
            (0, 0, "-"),
            (0, 1, "0.0"),
            (1, 1, "100.0"),
            (1, 3, "33.3"),
            (2, 3, "66.6"),
            (998, 999, "99.8"),
        ];
        for (hits, all, expected) in table {
            assert_eq!(LookUps { hits, all }.rate(), expected, "{hits} of {all}");
        }
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut latest = LookUps { hits: 0, all: 0 };
        for _ in 0..10_000 {
            latest = latest.with(false);
        }
        assert_eq!(latest.rate(), "0.0");
        for _ in 0..10 * HALVED_AT {
            latest = latest.with(true);
            assert!(latest.all <= HALVED_AT, "{latest:?}");
        }
        assert!(latest.hits * 1_000 >= latest.all * 990, "{latest:?}");
    }
}
