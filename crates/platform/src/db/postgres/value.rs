//! Values in PostgreSQL's binary form. The server names the type of each parameter, so that an i64 fits an `integer` column.

use bytes::{BufMut, BytesMut};
use sea_query::Value;
use tokio_postgres::Statement;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::db::DbError;
use crate::db::statement::{Plain, plain};

type Encoded = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

pub(in crate::db) struct Bound<'a>(pub Plain<'a>);

impl std::fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.write_str("Bound")
    }
}

pub(in crate::db) fn bind(values: &[Value]) -> Result<Vec<Bound<'_>>, DbError> {
    values.iter().map(|value| plain(value).map(Bound)).collect()
}

#[derive(Debug, thiserror::Error)]
enum BindError {
    #[error("{0} cannot be bound to a parameter of type {1}")]
    Type(&'static str, Type),
    #[error("the number {0} is out of the range of {1}")]
    Range(i64, Type),
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Encoded {
        match &self.0 {
            Plain::Null => return Ok(IsNull::Yes),
            Plain::Bool(value) if *ty == Type::BOOL => out.put_u8(u8::from(*value)),
            Plain::Bool(value) => integer(i64::from(*value), ty, out)?,
            Plain::Int(value) => integer(*value, ty, out)?,
            Plain::Float(value) if *ty == Type::FLOAT8 => out.put_f64(*value),
            #[expect(clippy::cast_possible_truncation, reason = "the column is a real")]
            Plain::Float(value) if *ty == Type::FLOAT4 => out.put_f32(*value as f32),
            Plain::Text(value) => match *ty {
                Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON => out.put_slice(value.as_bytes()),
                Type::JSONB => {
                    out.put_u8(1);
                    out.put_slice(value.as_bytes());
                }
                _ => return Err(Box::new(BindError::Type("text", ty.clone()))),
            },
            Plain::Bytes(value) if *ty == Type::BYTEA || (*ty == Type::UUID && value.len() == 16) => out.put_slice(value),
            Plain::Uuid(value) if matches!(*ty, Type::UUID | Type::BYTEA) => out.put_slice(value.as_bytes()),
            Plain::Float(_) => return Err(Box::new(BindError::Type("a float", ty.clone()))),
            Plain::Bytes(_) => return Err(Box::new(BindError::Type("bytes", ty.clone()))),
            Plain::Uuid(_) => return Err(Box::new(BindError::Type("a UUID", ty.clone()))),
        }
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    to_sql_checked!();
}

/// Tries to encode every value.
pub(super) fn check(values: &[Bound<'_>], statement: &Statement) -> Result<(), DbError> {
    if values.len() != statement.params().len() {
        return Err(DbError::Other(format!(
            "{} values for {} parameters",
            values.len(),
            statement.params().len()
        )));
    }
    let mut scratch = BytesMut::new();
    for (value, ty) in values.iter().zip(statement.params()) {
        scratch.clear();
        value
            .to_sql(ty, &mut scratch)
            .map_err(|error| match error.downcast_ref::<BindError>() {
                Some(bind) => bind.into(),
                None => DbError::Other(error.to_string()),
            })?;
    }
    Ok(())
}

impl From<&BindError> for DbError {
    fn from(error: &BindError) -> Self {
        match error {
            BindError::Range(..) => Self::Unstorable(error.to_string()),
            BindError::Type(..) => Self::Other(error.to_string()),
        }
    }
}

fn integer(value: i64, ty: &Type, out: &mut BytesMut) -> Result<(), BindError> {
    let range = || BindError::Range(value, ty.clone());
    match *ty {
        Type::INT8 => out.put_i64(value),
        Type::INT4 => out.put_i32(i32::try_from(value).map_err(|_| range())?),
        Type::INT2 => out.put_i16(i16::try_from(value).map_err(|_| range())?),
        Type::BOOL if matches!(value, 0 | 1) => out.put_u8(u8::from(value == 1)),
        #[expect(clippy::cast_precision_loss, reason = "the column is a double")]
        Type::FLOAT8 => out.put_f64(value as f64),
        Type::NUMERIC => numeric(value, out),
        // A parameter whose type nothing tells, such as one that is only selected, is text.
        Type::TEXT | Type::UNKNOWN => out.put_slice(value.to_string().as_bytes()),
        _ => return Err(BindError::Type("an integer", ty.clone())),
    }
    Ok(())
}

/// Number of digits, weight of the first, sign, scale, then base-10000 digits (PostgreSQL source, `numeric_recv`).
fn numeric(value: i64, out: &mut BytesMut) {
    let mut digits = [0_u16; 5];
    let mut used = 0;
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        digits[used] = u16::try_from(rest % 10_000).unwrap_or(0);
        rest /= 10_000;
        used += 1;
    }
    let count = u16::try_from(used).unwrap_or(0);
    out.put_u16(count);
    out.put_u16(count.saturating_sub(1));
    out.put_u16(if value < 0 { 0x4000 } else { 0 });
    out.put_u16(0);
    for digit in digits[..used].iter().rev() {
        out.put_u16(*digit);
    }
}

/// Errors that are not the server's: a value that does not fit, or a connection that broke.
pub(super) fn classify(error: &tokio_postgres::Error) -> DbError {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(bind) = cause.downcast_ref::<BindError>() {
            return bind.into();
        }
        source = cause.source();
    }
    let cause = std::error::Error::source(error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    DbError::Down(format!("{error}{cause}"))
}
