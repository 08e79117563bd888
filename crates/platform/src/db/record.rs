//! Records statements: as a store makes them, so that a test can have every one prepared, and as they are sent, so that a
//! benchmark can run the very same without the program around them.

use std::cell::RefCell;
use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use sea_query::Value;

use super::Statement;
use super::statement::Sql;
use super::unit::{Ask, Step, Then};

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

/// A statement as it goes to the engine, without the guard that PostgreSQL wraps around it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Whose database.
    pub service: &'static str,
    pub text: String,
    pub values: Vec<Value>,
    /// Statements of one transaction share a number; a read on its own has none.
    pub unit: Option<usize>,
}

#[derive(Debug, Default)]
struct Tape {
    sent: Vec<Sent>,
    units: usize,
}

type SharedTape = Arc<Mutex<Tape>>;

tokio::task_local! {
    static TAPE: SharedTape;
}

/// Runs `future` and tells what it sent to any [`super::Db`] from this task, in order. What a unit repeats after contention is
/// told once.
pub async fn record_sent<F: Future>(future: F) -> (F::Output, Vec<Sent>) {
    let tape = SharedTape::default();
    let output = TAPE.scope(Arc::clone(&tape), future).await;
    let sent = std::mem::take(&mut tape.lock().unwrap_or_else(PoisonError::into_inner).sent);
    (output, sent)
}

fn tell(tape: &SharedTape, service: &'static str, sql: &Sql, unit: Option<usize>) {
    let sent = Sent {
        service,
        text: sql.text.clone(),
        values: sql.values.clone(),
        unit,
    };
    tape.lock().unwrap_or_else(PoisonError::into_inner).sent.push(sent);
}

pub(super) fn sent_reads(service: &'static str, asks: &[Ask]) {
    let _ = TAPE.try_with(|tape| {
        for ask in asks {
            tell(tape, service, &ask.sql, None);
        }
    });
}

/// The unit runs on another task or thread, where what `then` adds is told as well.
pub(super) fn sent_unit(service: &'static str, steps: &[Step], then: Option<Then>) -> Option<Then> {
    let Ok(tape) = TAPE.try_with(Arc::clone) else {
        return then;
    };
    let unit = {
        let mut open = tape.lock().unwrap_or_else(PoisonError::into_inner);
        open.units += 1;
        open.units
    };
    for step in steps {
        tell(&tape, service, &step.sql, Some(unit));
    }
    let then = then?;
    Some(Box::new(move |output| {
        let steps = then(output)?;
        for step in &steps {
            tell(&tape, service, &step.sql, Some(unit));
        }
        Ok(steps)
    }))
}
