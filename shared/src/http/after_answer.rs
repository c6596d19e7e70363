//! What is done once an answer is known: nobody waits for it.

use std::cell::Cell;

/// Begins the work of the component with this id. It spawns what takes time.
pub(crate) type Work = fn(component: &'static str);

thread_local! {
    static WORK: Cell<Option<Work>> = const { Cell::new(None) };
}

/// Has `work` begun after the next answer of this instance. There is one kind of it, so that a
/// second call changes nothing.
pub(crate) fn begin_later(work: Work) {
    WORK.set(Some(work));
}

/// Begins what was asked for.
pub(super) fn begin(component: &'static str) {
    if let Some(work) = WORK.take() {
        work(component);
    }
}
