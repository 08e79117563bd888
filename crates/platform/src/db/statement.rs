//! From sea-query statements to SQL and values of one engine.

use sea_query::{
    DeleteStatement, InsertStatement, MysqlQueryBuilder, PostgresQueryBuilder, QueryStatementWriter, SelectStatement, SqliteQueryBuilder,
    UpdateStatement, Value,
};

use super::{DbError, Engine};

/// Any statement a [`super::Unit`] can hold.
#[derive(Debug, Clone)]
pub enum Statement {
    Select(SelectStatement),
    Insert(InsertStatement),
    Update(UpdateStatement),
    Delete(DeleteStatement),
}

impl From<SelectStatement> for Statement {
    fn from(statement: SelectStatement) -> Self {
        Self::Select(statement)
    }
}
impl From<InsertStatement> for Statement {
    fn from(statement: InsertStatement) -> Self {
        Self::Insert(statement)
    }
}
impl From<UpdateStatement> for Statement {
    fn from(statement: UpdateStatement) -> Self {
        Self::Update(statement)
    }
}
impl From<DeleteStatement> for Statement {
    fn from(statement: DeleteStatement) -> Self {
        Self::Delete(statement)
    }
}

/// SQL text of one engine with its parameters.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub text: String,
    pub values: Vec<Value>,
}

fn with<S: QueryStatementWriter>(statement: &S, engine: Engine) -> Sql {
    let (text, values) = match engine {
        Engine::Sqlite => statement.build(SqliteQueryBuilder),
        Engine::Postgres => statement.build(PostgresQueryBuilder),
        Engine::Mysql => statement.build(MysqlQueryBuilder),
    };
    Sql { text, values: values.0 }
}

impl Statement {
    pub(super) fn build(&self, engine: Engine) -> Sql {
        match self {
            Self::Select(statement) => with(statement, engine),
            Self::Insert(statement) => with(statement, engine),
            Self::Update(statement) => with(statement, engine),
            Self::Delete(statement) => with(statement, engine),
        }
    }
}

/// A value in the few forms that all three drivers know.
pub(super) enum Plain<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(std::borrow::Cow<'a, str>),
    Bytes(&'a [u8]),
    Uuid(uuid::Uuid),
}

pub(super) fn plain(value: &Value) -> Result<Plain<'_>, DbError> {
    use std::borrow::Cow;
    Ok(match value {
        Value::Bool(Some(v)) => Plain::Bool(*v),
        Value::TinyInt(Some(v)) => Plain::Int(i64::from(*v)),
        Value::SmallInt(Some(v)) => Plain::Int(i64::from(*v)),
        Value::Int(Some(v)) => Plain::Int(i64::from(*v)),
        Value::BigInt(Some(v)) => Plain::Int(*v),
        Value::TinyUnsigned(Some(v)) => Plain::Int(i64::from(*v)),
        Value::SmallUnsigned(Some(v)) => Plain::Int(i64::from(*v)),
        Value::Unsigned(Some(v)) => Plain::Int(i64::from(*v)),
        Value::BigUnsigned(Some(v)) => {
            Plain::Int(i64::try_from(*v).map_err(|_| DbError::Unstorable("a number above the range of i64".to_owned()))?)
        }
        Value::Float(Some(v)) => Plain::Float(f64::from(*v)),
        Value::Double(Some(v)) => Plain::Float(*v),
        Value::String(Some(v)) => Plain::Text(Cow::Borrowed(v)),
        Value::Char(Some(v)) => Plain::Text(Cow::Owned(v.to_string())),
        Value::Bytes(Some(v)) => Plain::Bytes(v),
        Value::Uuid(Some(v)) => Plain::Uuid(*v),
        Value::Bool(None)
        | Value::TinyInt(None)
        | Value::SmallInt(None)
        | Value::Int(None)
        | Value::BigInt(None)
        | Value::TinyUnsigned(None)
        | Value::SmallUnsigned(None)
        | Value::Unsigned(None)
        | Value::BigUnsigned(None)
        | Value::Float(None)
        | Value::Double(None)
        | Value::String(None)
        | Value::Char(None)
        | Value::Bytes(None)
        | Value::Uuid(None) => Plain::Null,
        other => return Err(DbError::Other(format!("values such as {other:?} are not bound by platform::db"))),
    })
}
