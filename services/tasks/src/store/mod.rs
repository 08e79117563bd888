//! SQL of the service, one file per aggregate: free functions over `&Db` to read or `&mut Unit` to write.
//! Every statement names the workspace, the project or the task it was authorised for.

pub(crate) mod activity;
pub(crate) mod checks;
pub(crate) mod comments;
pub(crate) mod feeds;
pub(crate) mod labels;
pub(crate) mod list;
pub(crate) mod people;
pub(crate) mod purge;
pub(crate) mod recurrences;
pub(crate) mod refold;
pub(crate) mod relations;
pub(crate) mod search;
pub(crate) mod states;
pub(crate) mod tasks;
pub(crate) mod terms;
pub(crate) mod trash;
pub(crate) mod views;

use kernel::Timestamp;
use kernel::ids::EntityId;
use platform::db::{DbError, FromRow, Row};
use sea_query::Value;
use uuid::Uuid;

/// An id as a bound value.
pub(crate) fn id<T: EntityId>(id: T) -> Uuid {
    id.uuid()
}

pub(crate) fn id_opt<T: EntityId>(id: Option<T>) -> Option<Uuid> {
    id.map(EntityId::uuid)
}

pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_micros()
}

pub(crate) fn micros_opt(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}

/// Ids for an IN list, padded to a power of two with repetitions: few different statement texts, so that prepared
/// statements are found again.
pub(crate) fn padded<T: EntityId>(ids: impl IntoIterator<Item = T>) -> Vec<Value> {
    let mut values: Vec<Value> = ids.into_iter().map(|id| id.uuid().into()).collect();
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

/// A single COUNT.
#[derive(Debug)]
pub(crate) struct Count(pub i64);

impl FromRow for Count {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

/// A single id.
#[derive(Debug)]
pub(crate) struct IdRow(pub Uuid);

impl FromRow for IdRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}
