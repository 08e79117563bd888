//! Failed sign-ins per key. Keys are MACs, so the table tells nobody's address.

use kernel::Timestamp;
use platform::db::{Db, DbError, FromRow, Row, Slot, Unit};
use sea_query::{Expr, ExprTrait, OnConflict, Query, SelectStatement};

use crate::model::throttle::Failures;
use crate::model::token::Hash;

#[derive(Debug, Clone)]
pub(crate) struct ThrottleRow {
    pub(crate) key: Vec<u8>,
    pub(crate) failures: Failures,
}

impl FromRow for ThrottleRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            key: row.get(0)?,
            failures: Failures {
                count: row.get(1)?,
                last_failed_at: row.get(2)?,
            },
        })
    }
}

fn select(keys: &[Hash]) -> SelectStatement {
    Query::select()
        .columns(["key_hash", "failures", "last_failed_at"])
        .from("throttles")
        .and_where(Expr::col("key_hash").is_in(keys.iter().map(|key| key.to_vec())))
        .take()
}

pub(crate) async fn list(db: &Db, keys: &[Hash]) -> Result<Vec<ThrottleRow>, DbError> {
    db.all(select(keys)).await
}

/// Counts a try as failed; a count whose last failure lies before `forgotten` starts again at 1.
pub(crate) fn count(unit: &mut Unit, key: &Hash, now: Timestamp, forgotten: Option<Timestamp>) {
    let next = Expr::col(("throttles", "failures")).add(1);
    let failures: Expr = match forgotten {
        // The assignment to `failures` stands first: MySQL lets later assignments see earlier ones.
        Some(moment) => Expr::case(Expr::col(("throttles", "last_failed_at")).lt(moment.as_micros()), 1i64)
            .finally(next)
            .into(),
        None => next,
    };
    let statement = Query::insert()
        .into_table("throttles")
        .columns(["key_hash", "failures", "last_failed_at"])
        .values_panic([key.to_vec().into(), 1i64.into(), now.as_micros().into()])
        .on_conflict(
            OnConflict::column("key_hash")
                .value("failures", failures)
                .value("last_failed_at", Expr::val(now.as_micros()))
                .to_owned(),
        )
        .take();
    unit.insert(statement);
}

pub(crate) fn read(unit: &mut Unit, keys: &[Hash]) -> Slot<ThrottleRow> {
    unit.read(select(keys))
}

pub(crate) fn reset(unit: &mut Unit, keys: &[Hash]) {
    unit.delete(
        Query::delete()
            .from_table("throttles")
            .and_where(Expr::col("key_hash").is_in(keys.iter().map(|key| key.to_vec())))
            .take(),
    );
}

/// Takes back the one that [`count`] added before the password proved right.
pub(crate) fn take_back(unit: &mut Unit, key: &Hash) {
    let statement = Query::update()
        .table("throttles")
        .value("failures", Expr::col("failures").sub(1))
        .and_where(Expr::col("key_hash").eq(key.to_vec()))
        .and_where(Expr::col("failures").gt(0))
        .take();
    unit.update(statement);
}

pub(crate) fn delete_old(unit: &mut Unit, before: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table("throttles")
            .and_where(Expr::col("last_failed_at").lt(before.as_micros()))
            .take(),
    );
}
