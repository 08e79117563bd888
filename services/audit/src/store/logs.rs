//! Where logs begin and end.

use kernel::Timestamp;
use kernel::ids::Uuid;
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use super::{AuditEntries as E, AuditLogs as L};
use crate::error::LOG_GREW;
use crate::model::Head;

impl FromRow for Head {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            log_id: row.get(0)?,
            kind: row.get(1)?,
            last_seq: row.get(2)?,
            last_seal: row.get(3)?,
            first_seq: row.get(4)?,
            before_seal: row.get(5)?,
            key_id: row.get(6)?,
            key_since: row.get(7)?,
            seal: row.get(8)?,
        })
    }
}

const COLUMNS: [L; 9] = [
    L::LogId,
    L::Kind,
    L::LastSeq,
    L::LastSeal,
    L::FirstSeq,
    L::BeforeSeal,
    L::KeyId,
    L::KeySince,
    L::Seal,
];

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from(L::Table).take()
}

pub(crate) async fn find(db: &Db, log_id: Uuid) -> Result<Option<Head>, DbError> {
    db.opt(select().and_where(Expr::col(L::LogId).eq(log_id)).take()).await
}

/// All of them, by id.
pub fn page(after: Option<Uuid>, limit: u64) -> SelectStatement {
    select()
        .and_where_option(after.map(|after| Expr::col(L::LogId).gt(after)))
        .order_by(L::LogId, Order::Asc)
        .limit(limit)
        .take()
}

/// A new log.
pub(crate) fn insert(unit: &mut Unit, head: &Head, now: Timestamp) {
    unit.insert(
        Query::insert()
            .into_table(L::Table)
            .columns(COLUMNS.into_iter().chain([L::CreatedAt]))
            .values_panic([
                head.log_id.into(),
                head.kind.as_str().into(),
                head.last_seq.into(),
                head.last_seal.as_str().into(),
                head.first_seq.into(),
                head.before_seal.as_str().into(),
                head.key_id.as_str().into(),
                head.key_since.into(),
                head.seal.as_str().into(),
                now.as_micros().into(),
            ])
            .take(),
    );
}

/// Moves an end of a log, if both are still where they were `before`.
pub(crate) fn change(unit: &mut Unit, before: &Head, after: &Head) {
    unit.update_guarded(
        Query::update()
            .table(L::Table)
            .values([
                (L::LastSeq, after.last_seq.into()),
                (L::LastSeal, after.last_seal.as_str().into()),
                (L::FirstSeq, after.first_seq.into()),
                (L::BeforeSeal, after.before_seal.as_str().into()),
                (L::KeyId, after.key_id.as_str().into()),
                (L::KeySince, after.key_since.into()),
                (L::Seal, after.seal.as_str().into()),
            ])
            .and_where(Expr::col(L::LogId).eq(before.log_id))
            .and_where(Expr::col(L::LastSeq).eq(before.last_seq))
            .and_where(Expr::col(L::FirstSeq).eq(before.first_seq))
            .take(),
        LOG_GREW,
    );
}

/// Logs with entries from before `cutoff`.
pub(crate) async fn list_old(db: &Db, cutoff: Timestamp, after: Option<Uuid>, limit: u64) -> Result<Vec<Head>, DbError> {
    let old = Query::select()
        .column(E::LogId)
        .from(E::Table)
        .and_where(Expr::col(E::OccurredAt).lt(cutoff.as_micros()))
        .take();
    db.all(page(after, limit).and_where(Expr::col(L::LogId).in_subquery(old)).take())
        .await
}

/// For the retention sweep alone: the entries before the log's first, as it is `after`, go.
pub(crate) fn shorten(unit: &mut Unit, before: &Head, after: &Head) {
    change(unit, before, after);
    unit.delete(
        Query::delete()
            .from_table(E::Table)
            .and_where(Expr::col(E::LogId).eq(after.log_id))
            .and_where(Expr::col(E::Seq).lt(after.first_seq))
            .take(),
    );
}

/// What the log was about is gone for ever; so is the log.
pub(crate) fn erase(unit: &mut Unit, log_id: Uuid) {
    unit.delete(
        Query::delete()
            .from_table(E::Table)
            .and_where(Expr::col(E::LogId).eq(log_id))
            .take(),
    );
    unit.delete(
        Query::delete()
            .from_table(L::Table)
            .and_where(Expr::col(L::LogId).eq(log_id))
            .take(),
    );
}
