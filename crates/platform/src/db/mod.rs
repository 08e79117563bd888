//! One query language on three engines. A command reads, decides in Rust, then applies one [`Unit`].

mod error;
mod migrate;
mod row;
mod unit;

pub use error::{DbError, Guard, UniqueRule};
pub use migrate::{Migration, Schema};
pub use row::{FromColumn, FromRow, Row};
pub use unit::{Output, Reply, Slot, Unit};

use sea_query::SelectStatement;

/// Which database the process talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    Sqlite,
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

/// A service's own database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {}

impl Db {
    pub fn engine(&self) -> Engine {
        unimplemented!()
    }

    /// All rows. Callers bound the number with LIMIT.
    pub async fn all<T: FromRow>(&self, _select: SelectStatement) -> Result<Vec<T>, DbError> {
        unimplemented!()
    }

    /// The first row, if any.
    pub async fn opt<T: FromRow>(&self, _select: SelectStatement) -> Result<Option<T>, DbError> {
        unimplemented!()
    }

    /// The one row; [`DbError::NoRow`] when there is none. For aggregates such as COUNT.
    pub async fn one<T: FromRow>(&self, _select: SelectStatement) -> Result<T, DbError> {
        unimplemented!()
    }

    /// Commits everything in `unit` or nothing. Retries on contention. Not undone when the future is dropped.
    pub async fn apply(&self, _unit: Unit) -> Result<Output, DbError> {
        unimplemented!()
    }

    /// [`Db::apply`], then renders the reply *inside* the transaction, so that it is stored with
    /// the `Idempotency-Key` of the request in the same commit. Use it in every POST and PATCH.
    pub async fn apply_reply<T, F>(&self, _unit: Unit, _render: F) -> Result<Reply<T>, DbError>
    where
        T: serde::Serialize + Send + 'static,
        F: FnOnce(&mut Output) -> Result<Reply<T>, DbError> + Send + 'static,
    {
        unimplemented!()
    }
}
