//! Typed getters over the rows of three drivers.

use kernel::Timestamp;
use rusqlite::types::ValueRef;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::DbError;

/// One row of any engine.
#[derive(Debug)]
pub enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
    Mysql(&'a mysql_async::Row),
}

/// A column in the few forms that all three drivers know.
#[derive(Debug)]
pub(super) enum Cell<'a> {
    Null,
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Takes any PostgreSQL type as it comes over the wire; [`Row::cell`] decodes it.
struct Wire<'a>(Type, &'a [u8]);

impl<'a> FromSql<'a> for Wire<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(ty.clone(), raw))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
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
        self.get::<String>(index)?
            .parse()
            .map_err(|error: T::Err| decode(index, error.to_string()))
    }

    /// Every column, for people: ids as UUIDs, other bytes in hexadecimal, NULL as a dash.
    pub fn texts(&self) -> Result<Vec<String>, DbError> {
        let columns = match self {
            Self::Sqlite(row) => row.as_ref().column_count(),
            Self::Postgres(row) => row.len(),
            Self::Mysql(row) => row.len(),
        };
        let text = |index| {
            Ok(match self.cell(index)? {
                Cell::Null => "-".to_owned(),
                Cell::Int(number) => number.to_string(),
                Cell::Float(number) => number.to_string(),
                Cell::Text(text) => text.to_owned(),
                // MySQL calls text bytes too; a byte of our ids' variant is never the whole of a character.
                Cell::Bytes(bytes) => match (Uuid::from_slice(bytes), std::str::from_utf8(bytes)) {
                    (Ok(id), _) if id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122 => id.to_string(),
                    (_, Ok(text)) => text.to_owned(),
                    (Ok(id), _) => id.to_string(),
                    _ => data_encoding::HEXLOWER.encode(bytes),
                },
            })
        };
        (0..columns).map(text).collect()
    }

    pub(super) fn cell(&self, index: usize) -> Result<Cell<'_>, DbError> {
        match self {
            Self::Sqlite(row) => {
                let value = row.get_ref(index).map_err(|error| decode(index, error.to_string()))?;
                Ok(match value {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Int(number),
                    ValueRef::Real(number) => Cell::Float(number),
                    ValueRef::Text(bytes) => Cell::Text(std::str::from_utf8(bytes).map_err(|error| decode(index, error.to_string()))?),
                    ValueRef::Blob(bytes) => Cell::Bytes(bytes),
                })
            }
            Self::Postgres(row) => match row
                .try_get::<_, Option<Wire<'_>>>(index)
                .map_err(|error| decode(index, error.to_string()))?
            {
                None => Ok(Cell::Null),
                Some(Wire(ty, raw)) => postgres_cell(&ty, raw).map_err(|reason| decode(index, reason)),
            },
            Self::Mysql(row) => {
                let value = row.as_ref(index).ok_or_else(|| decode(index, "no such column"))?;
                Ok(match value {
                    mysql_async::Value::NULL => Cell::Null,
                    mysql_async::Value::Int(number) => Cell::Int(*number),
                    mysql_async::Value::UInt(number) => Cell::Int(i64::try_from(*number).map_err(|_| decode(index, "above i64"))?),
                    mysql_async::Value::Float(number) => Cell::Float(f64::from(*number)),
                    mysql_async::Value::Double(number) => Cell::Float(*number),
                    // Text, binary and DECIMAL all come as bytes; the getter knows what it wants.
                    mysql_async::Value::Bytes(bytes) => Cell::Bytes(bytes),
                    other @ (mysql_async::Value::Date(..) | mysql_async::Value::Time(..)) => {
                        return Err(decode(index, format!("a column of no portable type: {other:?}")));
                    }
                })
            }
        }
    }
}

fn decode(column: usize, reason: impl Into<String>) -> DbError {
    DbError::Decode {
        column,
        reason: reason.into(),
    }
}

fn fixed<const N: usize>(raw: &[u8]) -> Result<[u8; N], String> {
    raw.try_into().map_err(|_| format!("{} bytes instead of {N}", raw.len()))
}

fn postgres_cell<'a>(ty: &Type, raw: &'a [u8]) -> Result<Cell<'a>, String> {
    Ok(match *ty {
        Type::INT8 => Cell::Int(i64::from_be_bytes(fixed(raw)?)),
        Type::INT4 => Cell::Int(i64::from(i32::from_be_bytes(fixed(raw)?))),
        Type::INT2 => Cell::Int(i64::from(i16::from_be_bytes(fixed(raw)?))),
        Type::BOOL => Cell::Int(i64::from(fixed::<1>(raw)?[0])),
        Type::FLOAT8 => Cell::Float(f64::from_be_bytes(fixed(raw)?)),
        Type::FLOAT4 => Cell::Float(f64::from(f32::from_be_bytes(fixed(raw)?))),
        Type::NUMERIC => Cell::Int(numeric_to_i64(raw)?),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON => {
            Cell::Text(std::str::from_utf8(raw).map_err(|error| error.to_string())?)
        }
        // The first byte is the version of the binary form.
        Type::JSONB => Cell::Text(std::str::from_utf8(raw.get(1..).unwrap_or_default()).map_err(|error| error.to_string())?),
        Type::UUID | Type::BYTEA => Cell::Bytes(raw),
        ref other => return Err(format!("a column of no portable type: {other}")),
    })
}

/// SUM over bigint is NUMERIC: base-10000 digits, weight of the first, sign, scale
/// (PostgreSQL source, `numeric_send`). Only whole numbers in the range of i64 decode.
fn numeric_to_i64(raw: &[u8]) -> Result<i64, String> {
    let word = |at: usize| -> Result<u16, String> { Ok(u16::from_be_bytes(fixed(raw.get(at..at + 2).unwrap_or_default())?)) };
    let (digits, sign) = (usize::from(word(0)?), word(4)?);
    let weight = i16::from_be_bytes(fixed(raw.get(2..4).unwrap_or_default())?);
    if !matches!(sign, 0 | 0x4000) {
        return Err("NUMERIC is not finite".to_owned());
    }
    let mut total: i128 = 0;
    for position in 0..digits {
        let digit = i128::from(word(8 + 2 * position)?);
        let exponent = i32::from(weight) - i32::try_from(position).unwrap_or(i32::MAX);
        match u32::try_from(exponent) {
            Ok(exponent) if exponent <= 5 => total += digit * 10_000_i128.pow(exponent),
            Ok(_) => return Err("NUMERIC above the range of i64".to_owned()),
            Err(_) if digit == 0 => {}
            Err(_) => return Err("NUMERIC is not a whole number".to_owned()),
        }
    }
    i64::try_from(if sign == 0 { total } else { -total }).map_err(|_| "NUMERIC above the range of i64".to_owned())
}

/// A type that one column decodes into.
pub trait FromColumn: Sized {
    fn from_column(row: &Row<'_>, index: usize) -> Result<Self, DbError>;
}

/// A type that a whole row decodes into.
pub trait FromRow: Sized + Send + 'static {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError>;
}

fn wrong<T>(index: usize, cell: &Cell<'_>, wanted: &str) -> Result<T, DbError> {
    let found = match cell {
        Cell::Null => "NULL",
        Cell::Int(_) => "a number",
        Cell::Float(_) => "a float",
        Cell::Text(_) => "text",
        Cell::Bytes(_) => "bytes",
    };
    Err(decode(index, format!("{wanted} expected, found {found}")))
}

fn text<'a>(cell: &Cell<'a>) -> Option<&'a str> {
    match *cell {
        Cell::Text(text) => Some(text),
        Cell::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn integer(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(number) => Some(*number),
        // DECIMAL of MySQL: text, whole numbers only. Where a parameter takes part, MySQL 8 adds a fraction of zeros.
        Cell::Bytes(_) => match text(cell)?.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole.parse().ok(),
            Some(_) => None,
            None => text(cell)?.parse().ok(),
        },
        _ => None,
    }
}

/// Each getter turns a cell that is not NULL into a value, or gives `None` for a cell of another type.
macro_rules! columns { ($($type:ty, $wanted:literal: $get:expr;)+) => { $(
    impl FromColumn for $type {
        fn from_column(row: &Row<'_>, index: usize) -> Result<Self, DbError> {
            let cell = row.cell(index)?;
            let get: fn(&Cell<'_>) -> Option<$type> = $get;
            get(&cell).map_or_else(|| wrong(index, &cell, $wanted), Ok)
        }
    }
    impl FromColumn for Option<$type> {
        fn from_column(row: &Row<'_>, index: usize) -> Result<Self, DbError> {
            match row.cell(index)? {
                Cell::Null => Ok(None),
                _ => <$type>::from_column(row, index).map(Some),
            }
        }
    }
    // A row of one column, for `db.one::<i64>(count)`.
    impl FromRow for $type {
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            row.get(0)
        }
    }
    impl FromRow for Option<$type> {
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            row.get(0)
        }
    }
)+ } }

columns! {
    i64, "i64": integer;
    i32, "i32": |cell| integer(cell).and_then(|number| i32::try_from(number).ok());
    i16, "i16": |cell| integer(cell).and_then(|number| i16::try_from(number).ok());
    bool, "bool": |cell| match integer(cell) { Some(0) => Some(false), Some(1) => Some(true), _ => None };
    f64, "f64": |cell| match cell {
        Cell::Float(number) => Some(*number),
        #[expect(clippy::cast_precision_loss, reason = "an integer column read as float is asked to be inexact")]
        Cell::Int(number) => Some(*number as f64),
        Cell::Bytes(_) => text(cell)?.parse().ok(),
        _ => None,
    };
    String, "text": |cell| text(cell).map(str::to_owned);
    Vec<u8>, "bytes": |cell| match cell { Cell::Bytes(bytes) => Some(bytes.to_vec()), Cell::Text(text) => Some(text.as_bytes().to_vec()), _ => None };
    Uuid, "UUID": |cell| match cell { Cell::Bytes(bytes) => Uuid::from_slice(bytes).ok(), _ => None };
    Timestamp, "timestamp": |cell| integer(cell).map(Timestamp::from_micros);
    serde_json::Value, "JSON": |cell| text(cell).and_then(|text| serde_json::from_str(text).ok());
}

macro_rules! tuples { ($(($($name:ident $index:tt),+);)+) => { $(
    impl<$($name: FromColumn + Send + 'static),+> FromRow for ($($name,)+) {
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            Ok(($(row.get::<$name>($index)?,)+))
        }
    }
)+ } }

tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
}

/// Collects decoded rows where they are: on the reader thread, or off the socket.
pub(super) trait Collect: Send {
    fn push(&mut self, row: &Row<'_>) -> Result<(), DbError>;
    fn finish(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}

pub(super) struct Rows<T>(pub Vec<T>);

impl<T: FromRow> Collect for Rows<T> {
    fn push(&mut self, row: &Row<'_>) -> Result<(), DbError> {
        self.0.push(T::from_row(row)?);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        Box::new(self.0)
    }
}

pub(super) fn collector<T: FromRow>() -> Box<dyn Collect> {
    Box::new(Rows::<T>(Vec::new()))
}
