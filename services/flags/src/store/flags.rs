//! Flags.

use kernel::ids::EntityId;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Iden, Order, Query, SelectStatement};

use crate::model::Flag;

#[derive(Iden, Clone, Copy)]
enum Flags {
    Table,
    FlagKey,
    Kind,
    Description,
    Enabled,
    Definition,
    Version,
    UpdatedBy,
    CreatedAt,
    UpdatedAt,
}
use Flags as F;

const COLUMNS: [F; 9] = [
    F::FlagKey,
    F::Kind,
    F::Description,
    F::Enabled,
    F::Definition,
    F::Version,
    F::UpdatedBy,
    F::CreatedAt,
    F::UpdatedAt,
];

impl FromRow for Flag {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let definition: String = row.get(4)?;
        Ok(Self {
            key: row.get(0)?,
            kind: row.parse(1)?,
            description: row.get(2)?,
            enabled: row.get(3)?,
            definition: serde_json::from_str(&definition).map_err(|error| error.to_string()),
            version: row.get(5)?,
            updated_by: row.id(6)?,
            created_at: row.get(7)?,
            updated_at: row.get(8)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from(F::Table).take()
}

/// By key.
pub(crate) fn page(after: Option<&str>, limit: u64) -> SelectStatement {
    select()
        .and_where_option(after.map(|after| Expr::col(F::FlagKey).gt(after)))
        .order_by(F::FlagKey, Order::Asc)
        .limit(limit)
        .take()
}

pub(crate) async fn list(db: &Db, select: SelectStatement) -> Result<Vec<Flag>, DbError> {
    db.all(select).await
}

pub(crate) async fn find(db: &Db, key: &str) -> Result<Option<Flag>, DbError> {
    db.opt(select().and_where(Expr::col(F::FlagKey).eq(key)).take()).await
}

pub(crate) async fn count(db: &Db) -> Result<i64, DbError> {
    db.one(Query::select().expr(Expr::col(F::FlagKey).count()).from(F::Table).take())
        .await
}

fn definition(flag: &Flag) -> String {
    // What cannot be read is not written back: it stays what it was, no definition.
    flag.definition
        .as_ref()
        .ok()
        .and_then(|definition| serde_json::to_string(definition).ok())
        .unwrap_or_default()
}

pub(crate) fn insert(unit: &mut Unit, flag: &Flag) {
    unit.insert(
        Query::insert()
            .into_table(F::Table)
            .columns(COLUMNS)
            .values_panic([
                flag.key.as_str().into(),
                flag.kind.as_str().into(),
                flag.description.clone().into(),
                flag.enabled.into(),
                definition(flag).into(),
                flag.version.into(),
                flag.updated_by.uuid().into(),
                flag.created_at.as_micros().into(),
                flag.updated_at.as_micros().into(),
            ])
            .take(),
    );
}

/// `flag.version` is the new one.
pub(crate) fn update(unit: &mut Unit, flag: &Flag) {
    unit.update_guarded(
        Query::update()
            .table(F::Table)
            .value(F::Description, flag.description.clone())
            .value(F::Enabled, flag.enabled)
            .value(F::Definition, definition(flag))
            .value(F::Version, flag.version)
            .value(F::UpdatedBy, flag.updated_by.uuid())
            .value(F::UpdatedAt, flag.updated_at.as_micros())
            .and_where(Expr::col(F::FlagKey).eq(flag.key.as_str()))
            .and_where(Expr::col(F::Version).eq(flag.version - 1))
            .take(),
        Guard::VERSION,
    );
}

pub(crate) fn delete(unit: &mut Unit, flag: &Flag) {
    unit.delete_guarded(
        Query::delete()
            .from_table(F::Table)
            .and_where(Expr::col(F::FlagKey).eq(flag.key.as_str()))
            .and_where(Expr::col(F::Version).eq(flag.version))
            .take(),
        Guard::VERSION,
    );
}
