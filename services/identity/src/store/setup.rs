//! The one-time set-up code: only a nonce lies here; the code is derived from it and the installation secret.

use kernel::Timestamp;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Query};

use crate::model::token::Hash;

const NAME: &str = "administrator";

#[derive(Debug, Clone)]
pub(crate) struct SetupCode {
    pub(crate) nonce: Vec<u8>,
    pub(crate) used_at: Option<Timestamp>,
}

impl FromRow for SetupCode {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            nonce: row.get(0)?,
            used_at: row.get(1)?,
        })
    }
}

pub(crate) async fn find(db: &Db) -> Result<Option<SetupCode>, DbError> {
    let query = Query::select()
        .columns(["nonce", "used_at"])
        .from("setup_codes")
        .and_where(Expr::col("name").eq(NAME))
        .take();
    db.opt(query).await
}

/// A second insert fails on the primary key: replicas that start together agree on one code.
pub(crate) fn insert(unit: &mut Unit, nonce: &Hash, now: Timestamp) {
    unit.insert(
        Query::insert()
            .into_table("setup_codes")
            .columns(["name", "nonce", "created_at"])
            .values_panic([NAME.into(), nonce.to_vec().into(), now.as_micros().into()])
            .take(),
    );
}

/// A fresh code in place of a used one.
pub(crate) fn renew(unit: &mut Unit, old_nonce: &[u8], nonce: &Hash, now: Timestamp) {
    let statement = Query::update()
        .table("setup_codes")
        .values([
            ("nonce", nonce.to_vec().into()),
            ("created_at", now.as_micros().into()),
            ("used_at", Option::<i64>::None.into()),
        ])
        .and_where(Expr::col("name").eq(NAME))
        .and_where(Expr::col("nonce").eq(old_nonce.to_vec()))
        .take();
    unit.update(statement);
}

/// Uses the code up; `guard` when it was used meanwhile.
pub(crate) fn consume(unit: &mut Unit, nonce: &[u8], now: Timestamp, guard: Guard) {
    let statement = Query::update()
        .table("setup_codes")
        .value("used_at", now.as_micros())
        .and_where(Expr::col("name").eq(NAME))
        .and_where(Expr::col("nonce").eq(nonce.to_vec()))
        .and_where(Expr::col("used_at").is_null())
        .take();
    unit.update_guarded(statement, guard);
}
