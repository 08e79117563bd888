//! Where logs begin and end.

use kernel::Timestamp;
use kernel::ids::Uuid;
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use super::{AuditEntries as E, AuditLogs as L};
use crate::error::LOG_GREW;
use crate::model::{Head, SealedEntry};

impl FromRow for Head {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            log_id: row.get(0)?,
            kind: row.get(1)?,
            last_seq: row.get(2)?,
            last_seal: row.get(3)?,
            first_seq: row.get(4)?,
            before_seal: row.get(5)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns([L::LogId, L::Kind, L::LastSeq, L::LastSeal, L::FirstSeq, L::BeforeSeal])
        .from(L::Table)
        .take()
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

/// A log with its first entry.
pub(crate) fn insert(unit: &mut Unit, kind: &str, first: &SealedEntry, now: Timestamp) {
    unit.insert(
        Query::insert()
            .into_table(L::Table)
            .columns([L::LogId, L::Kind, L::LastSeq, L::LastSeal, L::FirstSeq, L::BeforeSeal, L::CreatedAt])
            .values_panic([
                first.entry.log_id.into(),
                kind.into(),
                first.entry.seq.into(),
                first.seal.as_str().into(),
                first.entry.seq.into(),
                "".into(),
                now.as_micros().into(),
            ])
            .take(),
    );
}

/// Makes `newest` the end of its log, if the end is still the entry before it.
pub(crate) fn extend(unit: &mut Unit, newest: &SealedEntry) {
    unit.update_guarded(
        Query::update()
            .table(L::Table)
            .value(L::LastSeq, newest.entry.seq)
            .value(L::LastSeal, newest.seal.as_str())
            .and_where(Expr::col(L::LogId).eq(newest.entry.log_id))
            .and_where(Expr::col(L::LastSeq).eq(newest.entry.seq - 1))
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

/// For the retention sweep alone: the entries up to `last`, the oldest of the log, go.
pub(crate) fn shorten(unit: &mut Unit, head: &Head, last: &SealedEntry) {
    unit.update_guarded(
        Query::update()
            .table(L::Table)
            .value(L::FirstSeq, last.entry.seq + 1)
            .value(L::BeforeSeal, last.seal.as_str())
            .and_where(Expr::col(L::LogId).eq(head.log_id))
            .and_where(Expr::col(L::FirstSeq).eq(head.first_seq))
            .take(),
        LOG_GREW,
    );
    unit.delete(
        Query::delete()
            .from_table(E::Table)
            .and_where(Expr::col(E::LogId).eq(head.log_id))
            .and_where(Expr::col(E::Seq).lte(last.entry.seq))
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
