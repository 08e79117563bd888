//! SQL of outbox, inbox and relay lease.

use std::time::Duration;

use contracts::Envelope;
use kernel::Timestamp;
use kernel::ids::{EventId, Uuid};
use sea_query::{
    Condition, DeleteStatement, Expr, ExprTrait, Iden, InsertStatement, OnConflict, Order, Query, SelectStatement, UpdateStatement,
};

use super::window::Settled;
use crate::context::Caller;
use crate::db::{Db, DbError, FromRow, Guard, Row, Unit};

#[derive(Iden, Clone, Copy)]
pub(crate) enum Outbox {
    Table,
    Seq,
    Id,
    EventType,
    Subject,
    Envelope,
    CreatedAt,
    ParkedAt,
}

/// The event's row. `seq` is handed out by the database: put the insert after the guarded writes of the unit, then it
/// is taken under the aggregate's row lock and its order is the order of the aggregate's commits.
pub fn insert_outbox(envelope: &Envelope, now: Timestamp) -> InsertStatement {
    // An envelope is a plain struct with string keys, so serialising it cannot fail.
    let text = serde_json::to_string(envelope).unwrap_or_default();
    Query::insert()
        .into_table(Outbox::Table)
        .columns([Outbox::Id, Outbox::EventType, Outbox::Subject, Outbox::Envelope, Outbox::CreatedAt])
        .values_panic([
            envelope.id.0.into(),
            envelope.event_type.as_str().into(),
            envelope.subject.as_str().into(),
            text.into(),
            now.as_micros().into(),
        ])
        .to_owned()
}

#[derive(Iden, Clone, Copy)]
enum OutboxFailures {
    Table,
    EventId,
    Consumer,
    Attempts,
    NextAt,
    LastError,
    DeadAt,
}

#[derive(Iden, Clone, Copy)]
enum Inbox {
    Table,
    Consumer,
    EventId,
    HandledAt,
}

#[derive(Iden, Clone, Copy)]
enum RelayLeases {
    Table,
    Name,
    Holder,
    ExpiresAt,
}

/// An undelivered event.
pub(super) struct OutboxRow {
    pub seq: i64,
    pub created_at: Timestamp,
    /// `Err`: the text is no envelope; only a bug or a hand in the database makes that.
    pub envelope: Result<Envelope, String>,
}

impl FromRow for OutboxRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let text: String = row.get(2)?;
        Ok(Self {
            seq: row.get(0)?,
            created_at: row.get(1)?,
            envelope: serde_json::from_str(&text).map_err(|error| error.to_string()),
        })
    }
}

/// Undelivered events after `after`, in order.
pub(super) async fn list_outbox(db: &Db, after: i64, limit: u64) -> Result<Vec<OutboxRow>, DbError> {
    let select = Query::select()
        .columns([Outbox::Seq, Outbox::CreatedAt, Outbox::Envelope])
        .from(Outbox::Table)
        .and_where(Expr::col(Outbox::ParkedAt).is_null())
        .and_where(Expr::col(Outbox::Seq).gt(after))
        .order_by(Outbox::Seq, Order::Asc)
        .limit(limit)
        .to_owned();
    db.all(select).await
}

/// A consumer's failed attempts at an event.
pub(super) struct Failure {
    pub event_id: EventId,
    pub consumer: String,
    pub attempts: u32,
    pub dead: bool,
}

impl FromRow for Failure {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            event_id: row.id(0)?,
            consumer: row.get(1)?,
            attempts: row.get::<i32>(2)?.unsigned_abs(),
            dead: row.get::<Option<i64>>(3)?.is_some(),
        })
    }
}

/// Failures of these events.
pub(super) async fn list_failures(db: &Db, events: Vec<EventId>) -> Result<Vec<Failure>, DbError> {
    let select = Query::select()
        .columns([
            OutboxFailures::EventId,
            OutboxFailures::Consumer,
            OutboxFailures::Attempts,
            OutboxFailures::DeadAt,
        ])
        .from(OutboxFailures::Table)
        .and_where(Expr::col(OutboxFailures::EventId).is_in(events.into_iter().map(|id| id.0)))
        .to_owned();
    db.all(select).await
}

pub(super) fn upsert_failure(
    event: EventId,
    consumer: &str,
    attempts: u32,
    next_at: Timestamp,
    error: &str,
    dead_at: Option<Timestamp>,
) -> InsertStatement {
    Query::insert()
        .into_table(OutboxFailures::Table)
        .columns([
            OutboxFailures::EventId,
            OutboxFailures::Consumer,
            OutboxFailures::Attempts,
            OutboxFailures::NextAt,
            OutboxFailures::LastError,
            OutboxFailures::DeadAt,
        ])
        .values_panic([
            event.0.into(),
            consumer.into(),
            i32::try_from(attempts).unwrap_or(i32::MAX).into(),
            next_at.as_micros().into(),
            error.into(),
            dead_at.map(Timestamp::as_micros).into(),
        ])
        .on_conflict(
            OnConflict::columns([OutboxFailures::EventId, OutboxFailures::Consumer])
                .update_columns([
                    OutboxFailures::Attempts,
                    OutboxFailures::NextAt,
                    OutboxFailures::LastError,
                    OutboxFailures::DeadAt,
                ])
                .to_owned(),
        )
        .to_owned()
}

/// Removes what is delivered and marks what was given up.
pub(super) fn flush(unit: &mut Unit, settled: &[Settled], now: Timestamp) {
    let seqs = |parked: bool| {
        settled
            .iter()
            .filter(move |one| one.parked == parked)
            .map(|one| one.seq)
            .collect::<Vec<_>>()
    };
    let (done, parked) = (seqs(false), seqs(true));
    let recovered: Vec<_> = settled
        .iter()
        .filter(|one| one.had_failures && !one.parked)
        .map(|one| one.id.0)
        .collect();
    if !done.is_empty() {
        unit.delete(
            Query::delete()
                .from_table(Outbox::Table)
                .and_where(Expr::col(Outbox::Seq).is_in(done))
                .to_owned(),
        );
    }
    if !parked.is_empty() {
        let update = Query::update()
            .table(Outbox::Table)
            .value(Outbox::ParkedAt, now.as_micros())
            .and_where(Expr::col(Outbox::Seq).is_in(parked))
            .to_owned();
        unit.update(update);
    }
    if !recovered.is_empty() {
        let delete = Query::delete()
            .from_table(OutboxFailures::Table)
            .and_where(Expr::col(OutboxFailures::EventId).is_in(recovered))
            .to_owned();
        unit.delete(delete);
    }
}

/// Marks a row that cannot be read.
pub(super) fn park(seq: i64, now: Timestamp) -> UpdateStatement {
    Query::update()
        .table(Outbox::Table)
        .value(Outbox::ParkedAt, now.as_micros())
        .and_where(Expr::col(Outbox::Seq).eq(seq))
        .to_owned()
}

/// An event that was given up for a consumer.
#[derive(Debug, serde::Serialize)]
pub struct ParkedEvent {
    pub seq: i64,
    pub id: EventId,
    pub event_type: String,
    pub subject: String,
    pub created_at: Timestamp,
    pub parked_at: Timestamp,
    /// Who gave it up, after how many attempts and why; nobody when the row cannot be read.
    pub failures: Vec<ParkedFailure>,
}

#[derive(Debug, serde::Serialize)]
pub struct ParkedFailure {
    pub consumer: String,
    pub attempts: i32,
    pub error: String,
}

impl FromRow for ParkedEvent {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: row.get(0)?,
            id: row.id(1)?,
            event_type: row.get(2)?,
            subject: row.get(3)?,
            created_at: row.get(4)?,
            parked_at: row.get(5)?,
            failures: Vec::new(),
        })
    }
}

struct FailureRow(EventId, ParkedFailure);

impl FromRow for FailureRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(
            row.id(0)?,
            ParkedFailure {
                consumer: row.get(1)?,
                attempts: row.get(2)?,
                error: row.get(3)?,
            },
        ))
    }
}

/// Events given up, oldest first, at most `limit`.
pub async fn list_parked(db: &Db, limit: u64) -> Result<Vec<ParkedEvent>, DbError> {
    let select = Query::select()
        .columns([
            Outbox::Seq,
            Outbox::Id,
            Outbox::EventType,
            Outbox::Subject,
            Outbox::CreatedAt,
            Outbox::ParkedAt,
        ])
        .from(Outbox::Table)
        .and_where(Expr::col(Outbox::ParkedAt).is_not_null())
        .order_by(Outbox::Seq, Order::Asc)
        .limit(limit)
        .to_owned();
    let mut parked: Vec<ParkedEvent> = db.all(select).await?;
    if parked.is_empty() {
        return Ok(parked);
    }
    let select = Query::select()
        .columns([
            OutboxFailures::EventId,
            OutboxFailures::Consumer,
            OutboxFailures::Attempts,
            OutboxFailures::LastError,
        ])
        .from(OutboxFailures::Table)
        .and_where(Expr::col(OutboxFailures::DeadAt).is_not_null())
        .and_where(Expr::col(OutboxFailures::EventId).is_in(parked.iter().map(|event| event.id.0)))
        .to_owned();
    for FailureRow(id, failure) in db.all::<FailureRow>(select).await? {
        if let Some(event) = parked.iter_mut().find(|event| event.id == id) {
            event.failures.push(failure);
        }
    }
    Ok(parked)
}

/// Sends parked events on their way again, for all consumers that gave up; who has one already is not handed it twice.
pub async fn requeue_parked(db: &Db, caller: &Caller) -> Result<(), DbError> {
    let mut unit = Unit::new(caller);
    let dead = Expr::col(OutboxFailures::DeadAt).is_not_null();
    unit.delete(Query::delete().from_table(OutboxFailures::Table).and_where(dead).to_owned());
    let update = Query::update()
        .table(Outbox::Table)
        .value(Outbox::ParkedAt, Option::<i64>::None)
        .and_where(Expr::col(Outbox::ParkedAt).is_not_null())
        .to_owned();
    unit.update(update);
    db.apply(unit).await?;
    db.outbox_wake().notify_one();
    Ok(())
}

pub(super) fn insert_inbox(consumer: &str, event: EventId, now: Timestamp) -> InsertStatement {
    Query::insert()
        .into_table(Inbox::Table)
        .columns([Inbox::Consumer, Inbox::EventId, Inbox::HandledAt])
        .values_panic([consumer.into(), event.0.into(), now.as_micros().into()])
        .to_owned()
}

struct Seen;

impl FromRow for Seen {
    fn from_row(_: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self)
    }
}

pub(super) async fn was_handled(db: &Db, consumer: &str, event: EventId) -> Result<bool, DbError> {
    let select = Query::select()
        .column(Inbox::HandledAt)
        .from(Inbox::Table)
        .and_where(Expr::col(Inbox::Consumer).eq(consumer))
        .and_where(Expr::col(Inbox::EventId).eq(event.0))
        .limit(1)
        .to_owned();
    Ok(db.opt::<Seen>(select).await?.is_some())
}

pub(super) fn delete_inbox(before: Timestamp) -> DeleteStatement {
    Query::delete()
        .from_table(Inbox::Table)
        .and_where(Expr::col(Inbox::HandledAt).lt(before.as_micros()))
        .to_owned()
}

/// The one lease per database.
const LEASE: &str = "relay";
const NOT_OURS: Guard = Guard::conflict("relay.lease_held", "Another replica relays.");

/// Replicas whose clocks differ by less still agree on who holds a lease.
const CLOCK_SLIP: Duration = Duration::from_secs(3_600);

/// Takes or renews the lease; `false` when another replica holds it. `force`: SQLite has one process only, so what a
/// killed one left behind need not be waited for.
pub(super) async fn take_lease(db: &Db, caller: &Caller, holder: Uuid, lease: Duration, force: bool) -> Result<bool, DbError> {
    let expires = caller.now.plus(lease).as_micros();
    // No lease reaches so far: it was taken by a clock that has been set back since, and waiting for it could take days.
    let beyond = caller.now.plus(lease + CLOCK_SLIP).as_micros();
    let mut free = Condition::any()
        .add(Expr::col(RelayLeases::Holder).eq(holder))
        .add(Expr::col(RelayLeases::ExpiresAt).lt(caller.now.as_micros()))
        .add(Expr::col(RelayLeases::ExpiresAt).gt(beyond));
    if force {
        free = free.add(Expr::col(RelayLeases::Name).eq(LEASE));
    }
    let update = Query::update()
        .table(RelayLeases::Table)
        .value(RelayLeases::Holder, holder)
        .value(RelayLeases::ExpiresAt, expires)
        .and_where(Expr::col(RelayLeases::Name).eq(LEASE))
        .cond_where(free)
        .to_owned();
    let mut unit = Unit::new(caller);
    unit.update_guarded(update, NOT_OURS);
    match db.apply(unit).await {
        Ok(_) => return Ok(true),
        Err(DbError::Guard(_)) => {}
        Err(error) => return Err(error),
    }
    let existing = Query::select()
        .column(RelayLeases::ExpiresAt)
        .from(RelayLeases::Table)
        .and_where(Expr::col(RelayLeases::Name).eq(LEASE))
        .to_owned();
    if db.opt::<Seen>(existing).await?.is_some() {
        return Ok(false);
    }
    let insert = Query::insert()
        .into_table(RelayLeases::Table)
        .columns([RelayLeases::Name, RelayLeases::Holder, RelayLeases::ExpiresAt])
        .values_panic([LEASE.into(), holder.into(), expires.into()])
        .to_owned();
    let mut unit = Unit::new(caller);
    unit.insert(insert);
    match db.apply(unit).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_unique() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Until when a relay holds its lease, if one does: somebody works on this database.
pub fn find_lease(now: Timestamp) -> SelectStatement {
    Query::select()
        .column(RelayLeases::ExpiresAt)
        .from(RelayLeases::Table)
        .and_where(Expr::col(RelayLeases::Name).eq(LEASE))
        .and_where(Expr::col(RelayLeases::ExpiresAt).gt(now.as_micros()))
        .to_owned()
}

/// Lets another replica take over at once.
pub(super) fn release_lease(holder: Uuid) -> DeleteStatement {
    Query::delete()
        .from_table(RelayLeases::Table)
        .and_where(Expr::col(RelayLeases::Name).eq(LEASE))
        .and_where(Expr::col(RelayLeases::Holder).eq(holder))
        .to_owned()
}
