//! Signing keys. The private part never lies here: it is derived from `salt` and the installation secret.

use kernel::Timestamp;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query};

use crate::config::SigningAlgorithm;
use crate::model::token::Hash;

/// At most one key stands in each slot (a unique constraint sees to it); a previous key has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Published ahead of its use, so that every verifier knows it in time.
    Next,
    Current,
}

impl Slot {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    pub(crate) kid: String,
    pub(crate) slot: Option<Slot>,
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) salt: Hash,
    /// Its x coordinate, as published.
    pub(crate) public_key: Hash,
    pub(crate) created_at: Timestamp,
    pub(crate) activated_at: Option<Timestamp>,
    pub(crate) retired_at: Option<Timestamp>,
}

pub(super) fn bytes32(row: &Row<'_>, column: usize) -> Result<Hash, DbError> {
    row.get::<Vec<u8>>(column)?.try_into().map_err(|_| DbError::Decode {
        column,
        reason: "not 32 bytes".to_owned(),
    })
}

impl FromRow for KeyRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            kid: row.get(0)?,
            slot: match row.get::<Option<String>>(1)?.as_deref() {
                Some("next") => Some(Slot::Next),
                Some("current") => Some(Slot::Current),
                _ => None,
            },
            salt: bytes32(row, 2)?,
            public_key: bytes32(row, 3)?,
            created_at: row.get(4)?,
            activated_at: row.get(5)?,
            retired_at: row.get(6)?,
            algorithm: row.parse(7)?,
        })
    }
}

const COLUMNS: [&str; 8] = [
    "kid",
    "slot",
    "salt",
    "public_key",
    "created_at",
    "activated_at",
    "retired_at",
    "algorithm",
];

/// All of them: two, plus the previous ones that still verify.
pub(crate) async fn list(db: &Db) -> Result<Vec<KeyRow>, DbError> {
    let query = Query::select()
        .columns(COLUMNS)
        .from("signing_keys")
        .order_by("created_at", Order::Desc)
        .limit(100)
        .take();
    db.all(query).await
}

pub(crate) fn insert(unit: &mut Unit, key: &KeyRow) {
    unit.insert(
        Query::insert()
            .into_table("signing_keys")
            .columns(COLUMNS)
            .values_panic([
                key.kid.clone().into(),
                key.slot.map(Slot::as_str).into(),
                key.salt.to_vec().into(),
                key.public_key.to_vec().into(),
                key.created_at.as_micros().into(),
                key.activated_at.map(Timestamp::as_micros).into(),
                key.retired_at.map(Timestamp::as_micros).into(),
                key.algorithm.as_str().into(),
            ])
            .take(),
    );
}

/// Takes the key out of its slot; it goes on verifying until it is deleted.
pub(crate) fn retire(unit: &mut Unit, kid: &str, now: Timestamp, guard: Guard) {
    let statement = Query::update()
        .table("signing_keys")
        .values([("slot", Option::<String>::None.into()), ("retired_at", now.as_micros().into())])
        .and_where(Expr::col("kid").eq(kid))
        .and_where(Expr::col("slot").is_not_null())
        .take();
    unit.update_guarded(statement, guard);
}

pub(crate) fn activate(unit: &mut Unit, kid: &str, now: Timestamp, guard: Guard) {
    let statement = Query::update()
        .table("signing_keys")
        .values([("slot", Slot::Current.as_str().into()), ("activated_at", now.as_micros().into())])
        .and_where(Expr::col("kid").eq(kid))
        .and_where(Expr::col("slot").eq(Slot::Next.as_str()))
        .take();
    unit.update_guarded(statement, guard);
}

pub(crate) fn delete_retired(unit: &mut Unit, before: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table("signing_keys")
            .and_where(Expr::col("slot").is_null())
            .and_where(Expr::col("retired_at").lt(before.as_micros()))
            .take(),
    );
}
