//! Records statements, so that a test can have every one of a store prepared.

use std::cell::RefCell;
use std::future::Future;
use std::panic::Location;

use super::Statement;

/// A statement on its way to a database, and the line that sent it.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub statement: Statement,
    pub site: &'static Location<'static>,
}

tokio::task_local! {
    static RECORD: RefCell<Vec<Recorded>>;
}

/// Runs `future` and tells which statements it asked of a [`super::Db`] or put into a [`super::Unit`] on this task, whether
/// that unit is applied or not.
pub fn record_statements<F: Future>(future: F) -> impl Future<Output = (F::Output, Vec<Recorded>)> {
    // A test of a whole store is a large future.
    let future = Box::pin(future);
    RECORD.scope(RefCell::default(), async {
        let output = future.await;
        (output, RECORD.with(RefCell::take))
    })
}

/// `statement` is built only when somebody records.
#[track_caller]
pub(super) fn note(statement: impl FnOnce() -> Statement) {
    let site = Location::caller();
    let _ = RECORD.try_with(|record| {
        record.borrow_mut().push(Recorded {
            statement: statement(),
            site,
        });
    });
}
