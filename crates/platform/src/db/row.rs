//! Typed getters over the rows of three drivers.

use kernel::Timestamp;
use uuid::Uuid;

use super::DbError;

/// One row of any engine.
#[derive(Debug)]
pub enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
    Mysql(&'a mysql_async::Row),
}

impl Row<'_> {
    /// Column `index` (from 0, in the order of the SELECT).
    pub fn get<T: FromColumn>(&self, index: usize) -> Result<T, DbError> {
        T::from_column(self, index)
    }
    /// An id newtype.
    pub fn id<T: kernel::ids::EntityId>(&self, index: usize) -> Result<T, DbError> {
        self.get::<Uuid>(index).map(T::from_uuid)
    }
    pub fn id_opt<T: kernel::ids::EntityId>(&self, index: usize) -> Result<Option<T>, DbError> {
        Ok(self.get::<Option<Uuid>>(index)?.map(T::from_uuid))
    }
    /// A text column that holds a closed set, such as a role.
    pub fn parse<T: std::str::FromStr>(&self, index: usize) -> Result<T, DbError>
    where
        T::Err: std::fmt::Display,
    {
        self.get::<String>(index)?.parse().map_err(|error: T::Err| DbError::Decode {
            column: index,
            reason: error.to_string(),
        })
    }
}

/// A type that one column decodes into.
pub trait FromColumn: Sized {
    fn from_column(row: &Row<'_>, index: usize) -> Result<Self, DbError>;
}

/// A type that a whole row decodes into.
pub trait FromRow: Sized + Send + 'static {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError>;
}

macro_rules! placeholder { ($($t:ty),+) => { $(
    impl FromColumn for $t { fn from_column(_: &Row<'_>, _: usize) -> Result<Self, DbError> { unimplemented!() } }
    impl FromColumn for Option<$t> { fn from_column(_: &Row<'_>, _: usize) -> Result<Self, DbError> { unimplemented!() } }
)+ } }
placeholder!(i64, i32, bool, f64, String, Vec<u8>, Uuid, Timestamp, serde_json::Value);
