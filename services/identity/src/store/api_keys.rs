//! API keys: hashes of their secrets, never the secrets.

use kernel::Timestamp;
use kernel::ids::{ApiKeyId, EntityId, UserId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Slot, Unit};
use sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};

use super::keys::bytes32;
use crate::model::api_key::ApiKey;
use crate::model::user::UserStatus;

const COLUMNS: [&str; 11] = [
    "id",
    "user_id",
    "name",
    "scopes",
    "secret_hash",
    "created_at",
    "updated_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
    "version",
];

impl FromRow for ApiKey {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            user_id: row.id(1)?,
            name: row.get(2)?,
            scopes: row.parse(3)?,
            secret_hash: bytes32(row, 4)?,
            created_at: row.get(5)?,
            updated_at: row.get(6)?,
            expires_at: row.get(7)?,
            last_used_at: row.get(8)?,
            revoked_at: row.get(9)?,
            version: row.get(10)?,
        })
    }
}

/// A key with what counts of its owner.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) key: ApiKey,
    pub(crate) status: UserStatus,
}

impl FromRow for Standing {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            key: ApiKey::from_row(row)?,
            status: row.parse(COLUMNS.len())?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns(COLUMNS.map(|column| ("api_keys", column)))
        .from("api_keys")
        .take()
}

pub(crate) async fn find_standing(db: &Db, id: ApiKeyId) -> Result<Option<Standing>, DbError> {
    db.opt(
        select()
            .column(("users", "status"))
            .inner_join("users", Expr::col(("users", "id")).equals(("api_keys", "user_id")))
            .and_where(Expr::col(("api_keys", "id")).eq(id.uuid()))
            .take(),
    )
    .await
}

/// Not revoked ones; expired ones stay in sight for a while.
fn kept(user_id: UserId) -> SelectStatement {
    select()
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .and_where(Expr::col("revoked_at").is_null())
        .take()
}

pub(crate) async fn find(db: &Db, user_id: UserId, id: ApiKeyId) -> Result<Option<ApiKey>, DbError> {
    db.opt(kept(user_id).and_where(Expr::col("id").eq(id.uuid())).take()).await
}

/// Newest first.
pub(crate) async fn list(db: &Db, user_id: UserId, limit: u64, after: Option<(Timestamp, ApiKeyId)>) -> Result<Vec<ApiKey>, DbError> {
    let mut query = kept(user_id);
    if let Some((created_at, id)) = after {
        query.cond_where(
            Cond::any().add(Expr::col("created_at").lt(created_at.as_micros())).add(
                Cond::all()
                    .add(Expr::col("created_at").eq(created_at.as_micros()))
                    .add(Expr::col("id").lt(id.uuid())),
            ),
        );
    }
    query.order_by("created_at", Order::Desc).order_by("id", Order::Desc).limit(limit);
    db.all(query).await
}

/// How many the person has, for who makes one more and holds the person's row: they are made one after the other.
pub(crate) fn count(unit: &mut Unit, user_id: UserId) -> Slot<i64> {
    let mut count = kept(user_id);
    unit.read(count.clear_selects().expr(Expr::col("id").count()).take())
}

pub(crate) fn insert(unit: &mut Unit, key: &ApiKey) {
    unit.insert(
        Query::insert()
            .into_table("api_keys")
            .columns(COLUMNS)
            .values_panic([
                key.id.uuid().into(),
                key.user_id.uuid().into(),
                key.name.clone().into(),
                key.scopes.to_string().into(),
                key.secret_hash.to_vec().into(),
                key.created_at.as_micros().into(),
                key.updated_at.as_micros().into(),
                key.expires_at.as_micros().into(),
                key.last_used_at.map(Timestamp::as_micros).into(),
                key.revoked_at.map(Timestamp::as_micros).into(),
                key.version.into(),
            ])
            .take(),
    );
}

/// Writes name and revocation over the row of version `key.version - 1`.
pub(crate) fn update(unit: &mut Unit, key: &ApiKey, guard: Guard) {
    let statement = Query::update()
        .table("api_keys")
        .values([
            ("name", key.name.clone().into()),
            ("revoked_at", key.revoked_at.map(Timestamp::as_micros).into()),
            ("updated_at", key.updated_at.as_micros().into()),
            ("version", key.version.into()),
        ])
        .and_where(Expr::col("id").eq(key.id.uuid()))
        .and_where(Expr::col("version").eq(key.version - 1))
        .take();
    unit.update_guarded(statement, guard);
}

/// Keeps the version: nothing that its owner changes has changed.
pub(crate) fn note_use(unit: &mut Unit, id: ApiKeyId, at: Timestamp) {
    let statement = Query::update()
        .table("api_keys")
        .value("last_used_at", at.as_micros())
        .and_where(Expr::col("id").eq(id.uuid()))
        .and_where(Expr::col("last_used_at").is_null().or(Expr::col("last_used_at").lt(at.as_micros())))
        .take();
    unit.update(statement);
}

pub(crate) fn delete_of_user(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table("api_keys")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
    );
}

pub(crate) fn delete_expired(unit: &mut Unit, before: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table("api_keys")
            .and_where(Expr::col("expires_at").lt(before.as_micros()))
            .take(),
    );
}
