//! SQL of due work. `generation` changes when an item is replaced, `claim` when a runner takes it: a handler that
//! ends after its item was replaced or taken over must not remove the newer one.

use std::collections::HashSet;
use std::time::Duration;

use kernel::Timestamp;
use sea_query::{Condition, DeleteStatement, Expr, ExprTrait, Iden, InsertStatement, OnConflict, Order, Query, UpdateStatement};
use uuid::Uuid;

use super::{Due, DueItem};
use crate::context::Caller;
use crate::db::{Db, DbError, FromRow, Row, Unit};

#[derive(Iden, Clone, Copy)]
pub(crate) enum DueWork {
    Table,
    Id,
    Kind,
    WorkKey,
    Payload,
    RunAt,
    Generation,
    Attempt,
    Claim,
    LeasedUntil,
    RequestId,
    LastError,
    DeadAt,
    CreatedAt,
}

/// Stores the item; with a key, an item of the same `(kind, key)` becomes the new one. A runner that holds the old
/// one keeps its lease, so that both never run at once.
pub fn insert_due(due: &Due, id: Uuid, generation: Uuid, request_id: &str, now: Timestamp) -> InsertStatement {
    let mut insert = Query::insert();
    insert
        .into_table(DueWork::Table)
        .columns([
            DueWork::Id,
            DueWork::Kind,
            DueWork::WorkKey,
            DueWork::Payload,
            DueWork::RunAt,
            DueWork::Generation,
            DueWork::Attempt,
            DueWork::LeasedUntil,
            DueWork::RequestId,
            DueWork::LastError,
            DueWork::DeadAt,
            DueWork::CreatedAt,
        ])
        .values_panic([
            id.into(),
            due.kind.into(),
            due.key.clone().into(),
            due.payload.to_string().into(),
            due.run_at.as_micros().into(),
            generation.into(),
            0.into(),
            0_i64.into(),
            request_id.into(),
            Option::<String>::None.into(),
            Option::<i64>::None.into(),
            now.as_micros().into(),
        ]);
    if due.key.is_some() {
        insert.on_conflict(
            OnConflict::columns([DueWork::Kind, DueWork::WorkKey])
                .update_columns([
                    DueWork::Payload,
                    DueWork::RunAt,
                    DueWork::Generation,
                    DueWork::Attempt,
                    DueWork::RequestId,
                    DueWork::LastError,
                    DueWork::DeadAt,
                    DueWork::CreatedAt,
                ])
                .to_owned(),
        );
    }
    insert.clone()
}

/// Forgets the item.
pub fn delete_due(kind: &str, key: &str) -> DeleteStatement {
    Query::delete()
        .from_table(DueWork::Table)
        .and_where(Expr::col(DueWork::Kind).eq(kind))
        .and_where(Expr::col(DueWork::WorkKey).eq(key))
        .to_owned()
}

/// Lets the item that a handler holds run again, as a new one. Nothing happens when it was replaced meanwhile, which set
/// its attempts back to none.
pub(crate) fn run_again(item: &DueItem, generation: Uuid, run_at: Timestamp) -> UpdateStatement {
    Query::update()
        .table(DueWork::Table)
        .value(DueWork::RunAt, run_at.as_micros())
        .value(DueWork::Generation, generation)
        .value(DueWork::Attempt, 0)
        .value(DueWork::LastError, Option::<String>::None)
        .and_where(Expr::col(DueWork::Id).eq(item.id))
        .and_where(Expr::col(DueWork::Attempt).eq(item.attempt))
        .to_owned()
}

/// An item as a runner holds it.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub item: DueItem,
    pub generation: Uuid,
    pub claim: Uuid,
}

struct ClaimedRow {
    item: DueItem,
    generation: Uuid,
}

impl FromRow for ClaimedRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let payload: String = row.get(3)?;
        let reason = |error: serde_json::Error| DbError::Decode {
            column: 3,
            reason: error.to_string(),
        };
        Ok(Self {
            item: DueItem {
                id: row.get(0)?,
                kind: row.get(1)?,
                key: row.get(2)?,
                payload: serde_json::from_str(&payload).map_err(reason)?,
                attempt: row.get(4)?,
                request_id: row.get(5)?,
            },
            generation: row.get(6)?,
        })
    }
}

struct Id(Uuid);

impl FromRow for Id {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

struct Moment(Option<Timestamp>);

impl FromRow for Moment {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

fn ready(kinds: &[&'static str], now: Timestamp) -> Condition {
    Condition::all()
        .add(Expr::col(DueWork::DeadAt).is_null())
        .add(Expr::col(DueWork::RunAt).lte(now.as_micros()))
        .add(Expr::col(DueWork::LeasedUntil).lte(now.as_micros()))
        .add(Expr::col(DueWork::Kind).is_in(kinds.iter().copied()))
}

/// Takes up to `limit` ready items. A compare-and-set, so that a row goes to one runner only: the runner that comes second
/// waits for the row's lock, looks at it again and finds it leased. `running`: what this process has in hand.
pub(crate) async fn claim(
    db: &Db,
    caller: &Caller,
    kinds: &[&'static str],
    limit: usize,
    claim: Uuid,
    lease: Duration,
    running: &HashSet<Uuid>,
) -> Result<Vec<Claimed>, DbError> {
    let now = caller.now;
    let mut candidates = Query::select();
    candidates
        .column(DueWork::Id)
        .from(DueWork::Table)
        .cond_where(ready(kinds, now))
        .order_by(DueWork::RunAt, Order::Asc)
        .limit((limit + running.len()) as u64);
    let mut ids: Vec<Uuid> = db.all::<Id>(candidates.clone()).await?.into_iter().map(|id| id.0).collect();
    // A clock that was set forward ends every lease; what we run ourselves we know without it.
    ids.retain(|id| !running.contains(id));
    ids.truncate(limit);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Always locked in the same order: runners cannot deadlock.
    ids.sort_unstable();
    let mut take = Query::update();
    take.table(DueWork::Table)
        .value(DueWork::Claim, claim)
        .value(DueWork::LeasedUntil, now.plus(lease).as_micros())
        .value(DueWork::Attempt, Expr::col(DueWork::Attempt).add(1))
        .and_where(Expr::col(DueWork::Id).is_in(ids))
        .cond_where(ready(kinds, now));
    let mut taken = Query::select();
    taken
        .columns([
            DueWork::Id,
            DueWork::Kind,
            DueWork::WorkKey,
            DueWork::Payload,
            DueWork::Attempt,
            DueWork::RequestId,
            DueWork::Generation,
        ])
        .from(DueWork::Table)
        .and_where(Expr::col(DueWork::Claim).eq(claim));
    let mut unit = Unit::new(caller);
    unit.update(take.clone());
    let slot = unit.read::<ClaimedRow>(taken.clone());
    let rows = db.apply(unit).await?.take(&slot);
    Ok(rows
        .into_iter()
        .map(|ClaimedRow { item, generation }| Claimed { item, generation, claim })
        .collect())
}

/// The item is done: gone, unless it was replaced meanwhile.
pub(crate) fn complete(unit: &mut Unit, claimed: &Claimed) {
    let mut delete = Query::delete();
    delete
        .from_table(DueWork::Table)
        .cond_where(held(claimed).add(Expr::col(DueWork::Generation).eq(claimed.generation)));
    unit.delete(delete.clone());
    release(unit, claimed);
}

/// The item failed: it runs again at `run_at`, or never when `dead`.
pub(crate) fn fail(unit: &mut Unit, claimed: &Claimed, error: &str, run_at: Timestamp, dead: Option<Timestamp>) {
    let mut update = Query::update();
    update
        .table(DueWork::Table)
        .value(DueWork::RunAt, run_at.as_micros())
        .value(DueWork::LastError, error)
        .value(DueWork::DeadAt, dead.map(Timestamp::as_micros))
        .cond_where(held(claimed).add(Expr::col(DueWork::Generation).eq(claimed.generation)));
    unit.update(update.clone());
    release(unit, claimed);
}

fn held(claimed: &Claimed) -> Condition {
    Condition::all()
        .add(Expr::col(DueWork::Id).eq(claimed.item.id))
        .add(Expr::col(DueWork::Claim).eq(claimed.claim))
}

fn release(unit: &mut Unit, claimed: &Claimed) {
    let mut update = Query::update();
    update
        .table(DueWork::Table)
        .value(DueWork::Claim, Option::<Uuid>::None)
        .value(DueWork::LeasedUntil, 0_i64)
        .cond_where(held(claimed));
    unit.update(update.clone());
}

/// Takes away from whoever claimed something. Only for a process that knows it is the only one, else two run the same item at once.
pub async fn release_all(db: &Db, caller: &Caller) -> Result<(), DbError> {
    let mut update = Query::update();
    update
        .table(DueWork::Table)
        .value(DueWork::Claim, Option::<Uuid>::None)
        .value(DueWork::LeasedUntil, 0_i64)
        .and_where(Expr::col(DueWork::Claim).is_not_null());
    let mut unit = Unit::new(caller);
    unit.update(update.clone());
    db.apply(unit).await.map(drop)
}

/// `run_at` of the item that waits longest.
pub(crate) async fn find_oldest(db: &Db) -> Result<Option<Timestamp>, DbError> {
    let mut select = Query::select();
    select
        .column(DueWork::RunAt)
        .from(DueWork::Table)
        .and_where(Expr::col(DueWork::DeadAt).is_null())
        .order_by(DueWork::RunAt, Order::Asc)
        .limit(1);
    Ok(db.opt::<Moment>(select.clone()).await?.and_then(|moment| moment.0))
}

/// Forgets items given up before `before`.
pub(crate) fn delete_dead(before: Timestamp) -> DeleteStatement {
    Query::delete()
        .from_table(DueWork::Table)
        .and_where(Expr::col(DueWork::DeadAt).lt(before.as_micros()))
        .to_owned()
}
