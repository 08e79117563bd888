//! The unit of work: statements, guards, events and due work that commit together or not at all.

use std::marker::PhantomData;

use contracts::EventPayload;
use sea_query::{DeleteStatement, InsertStatement, SelectStatement, UpdateStatement};

use super::{DbError, FromRow, Guard};
use crate::context::Caller;
use crate::due::Due;

/// What a command decided. Built without touching the database; nothing happens until [`super::Db::apply`].
#[derive(Debug)]
pub struct Unit {}

impl Unit {
    /// Takes actor, time, trace and idempotency key from the caller.
    pub fn new(_caller: &Caller) -> Self {
        unimplemented!()
    }
    pub fn insert(&mut self, _statement: InsertStatement) {
        unimplemented!()
    }
    /// Any number of rows.
    pub fn update(&mut self, _statement: UpdateStatement) {
        unimplemented!()
    }
    /// Exactly one row, or the whole unit fails with `guard`. Put `id`, `version` (and state) in the WHERE.
    pub fn update_guarded(&mut self, _statement: UpdateStatement, _guard: Guard) {
        unimplemented!()
    }
    /// Any number of rows.
    pub fn delete(&mut self, _statement: DeleteStatement) {
        unimplemented!()
    }
    /// Exactly one row, or the whole unit fails with `guard`.
    pub fn delete_guarded(&mut self, _statement: DeleteStatement, _guard: Guard) {
        unimplemented!()
    }
    /// The SELECT must find at least one row at this point of the transaction (locked FOR UPDATE where
    /// the engine has row locks), or the whole unit fails with `guard`. For rules over other rows,
    /// such as "another owner remains".
    pub fn require(&mut self, _select: SelectStatement, _guard: Guard) {
        unimplemented!()
    }
    /// Reads at this point inside the transaction; take the rows from [`Output::take`].
    pub fn read<T: FromRow>(&mut self, _select: SelectStatement) -> Slot<T> {
        unimplemented!()
    }
    /// Writes the event to the outbox of this database.
    pub fn emit<P: EventPayload>(&mut self, _payload: &P) {
        unimplemented!()
    }
    /// Stores due work. An item with the same `(kind, key)` that has not run yet is replaced.
    pub fn schedule(&mut self, _due: Due) {
        unimplemented!()
    }
    /// Removes due work that has not run yet.
    pub fn unschedule(&mut self, _kind: &'static str, _key: &str) {
        unimplemented!()
    }
}

/// Names the rows of one [`Unit::read`].
#[derive(Debug)]
pub struct Slot<T> {
    pub(super) index: usize,
    pub(super) rows: PhantomData<fn() -> T>,
}

/// The rows read inside a committed unit.
#[derive(Debug)]
pub struct Output {}

impl Output {
    /// The rows of `slot`; empty when taken before.
    pub fn take<T: FromRow>(&mut self, _slot: &Slot<T>) -> Vec<T> {
        unimplemented!()
    }
    /// The first row of `slot`.
    pub fn first<T: FromRow>(&mut self, slot: &Slot<T>) -> Result<T, DbError> {
        self.take(slot).into_iter().next().ok_or(DbError::NoRow)
    }
}

/// What a successful command answers, rendered inside its transaction. An axum response:
/// status, `Location`, `ETag` from `version`, JSON body.
#[derive(Debug, Clone)]
pub struct Reply<T> {
    /// 200 or 201 (202 for accepted work).
    pub status: u16,
    pub location: Option<String>,
    /// Row version for the strong `ETag`.
    pub version: Option<i64>,
    pub body: T,
}

impl<T> Reply<T> {
    pub fn ok(body: T, version: i64) -> Self {
        Self {
            status: 200,
            location: None,
            version: Some(version),
            body,
        }
    }
    pub fn created(body: T, version: i64, location: String) -> Self {
        Self {
            status: 201,
            location: Some(location),
            version: Some(version),
            body,
        }
    }
    /// 200 without an `ETag`.
    pub fn plain(body: T) -> Self {
        Self {
            status: 200,
            location: None,
            version: None,
            body,
        }
    }
}
