//! The plans that this instance has read. A version never changes, so one that is
//! kept is right for good; which version is the newest is asked each time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use shared::rating::Plan;

/// Most plans that an instance keeps.
const MAX_KEPT_PLANS: usize = 256;

/// Most bytes of their documents. A plan takes some four times as much as its
/// document, so these are 16 MiB.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// Names a plan as a request does: its code, and a version or the newest. Plans
/// are the platform's, the same for every organization.
pub type Key = (String, Option<i32>);

/// A plan and the id of the version that it was read of.
#[derive(Debug, Clone)]
pub struct Kept {
    pub version_id: String,
    pub plan: Rc<Plan>,
}

#[derive(Default)]
struct KeptPlans {
    entries: BTreeMap<Key, Entry>,
    /// The bytes of all documents.
    bytes: usize,
    /// How many plans were kept so far, which is the age of the next one.
    kept: u64,
}

struct Entry {
    kept: Kept,
    bytes: usize,
    age: u64,
}

thread_local! {
    static KEPT: RefCell<KeptPlans> = RefCell::default();
}

/// The plan that was last read under this name.
pub fn find(key: &Key) -> Option<Kept> {
    KEPT.with_borrow(|plans| plans.entries.get(key).map(|entry| entry.kept.clone()))
}

/// Keeps a plan whose document has so many bytes, in the place of the oldest ones
/// if there is no room.
pub fn keep(key: Key, kept: Kept, bytes: usize) {
    KEPT.with_borrow_mut(|plans| plans.keep(key, kept, bytes));
}

impl KeptPlans {
    fn keep(&mut self, key: Key, kept: Kept, bytes: usize) {
        self.remove(&key);
        while self.entries.len() >= MAX_KEPT_PLANS || self.bytes + bytes > MAX_KEPT_BYTES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.age);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                // Larger than all that is kept together.
                return;
            };
            self.remove(&oldest);
        }
        self.bytes += bytes;
        let age = self.kept;
        self.kept += 1;
        self.entries.insert(key, Entry { kept, bytes, age });
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::money::Currency;

    fn kept(version_id: &str) -> Kept {
        Kept {
            version_id: version_id.to_owned(),
            plan: Rc::new(Plan {
                code: "team".to_owned(),
                name: "Team".to_owned(),
                currency: Currency::USD,
                charges: Vec::new(),
                included_units: Vec::new(),
                minimum_commitment: None,
                maximum_spend: None,
                trial: None,
            }),
        }
    }

    fn key(number: usize) -> Key {
        (format!("plan-{number}"), None)
    }

    #[test]
    fn the_oldest_make_room() {
        for (plans, bytes_each, expected) in [
            (256, 1, 256),
            (300, 1, 256),
            (300, 256 * 1024, 16),
            (3, MAX_KEPT_BYTES + 1, 0),
            (3, MAX_KEPT_BYTES, 1),
        ] {
            let mut all = KeptPlans::default();
            for number in 0..plans {
                all.keep(key(number), kept("a"), bytes_each);
            }
            assert_eq!(all.entries.len(), expected, "{plans} of {bytes_each} bytes");
            assert_eq!(all.bytes, expected * bytes_each);
            for number in plans - expected..plans {
                assert!(all.entries.contains_key(&key(number)), "{number} is new");
            }
        }
    }

    #[test]
    fn a_plan_is_kept_once_under_a_name() {
        let mut all = KeptPlans::default();
        all.keep(key(1), kept("a"), 10);
        all.keep(key(1), kept("b"), 20);
        assert_eq!((all.entries.len(), all.bytes), (1, 20));
        assert_eq!(all.entries[&key(1)].kept.version_id, "b");
        let named = (key(1).0, Some(1));
        all.keep(named.clone(), kept("c"), 5);
        assert_eq!(all.entries[&key(1)].kept.version_id, "b");
        assert_eq!(all.entries[&named].kept.version_id, "c");
    }
}
