//! Messages, their deliveries and the log of attempts.

use kernel::Timestamp;
use kernel::ids::{EntityId, EventId, Uuid, WebhookId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Cond, Expr, ExprTrait, Func, JoinType, Order, Query, SelectStatement, UpdateStatement};

use super::{WebhookAttempts as A, WebhookDeliveries as D, WebhookMessages as M, micros};
use crate::error::MOVED_ON;
use crate::model::{Attempt, Delivery, DeliveryId, DeliveryState, DueDelivery, Message};

const COLUMNS: [D; 13] = [
    D::Id,
    D::WebhookId,
    D::MessageId,
    D::EventType,
    D::State,
    D::Tries,
    D::Attempts,
    D::NextAttemptAt,
    D::LastAttemptAt,
    D::LastStatus,
    D::LastError,
    D::DeliveredAt,
    D::CreatedAt,
];

impl FromRow for Delivery {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            webhook_id: row.id(1)?,
            message_id: row.id(2)?,
            event_type: row.get(3)?,
            state: row.parse(4)?,
            tries: row.get(5)?,
            attempts: row.get(6)?,
            next_attempt_at: row.get(7)?,
            last_attempt_at: row.get(8)?,
            last_status: row.get(9)?,
            last_error: row.get(10)?,
            delivered_at: row.get(11)?,
            created_at: row.get(12)?,
        })
    }
}

impl FromRow for DueDelivery {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            delivery: Delivery::from_row(row)?,
            body: row.get(13)?,
        })
    }
}

impl FromRow for Attempt {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            delivery_id: row.id(0)?,
            number: row.get(1)?,
            started_at: row.get(2)?,
            duration_ms: row.get(3)?,
            status: row.get(4)?,
            error: row.get(5)?,
            response: row.get(6)?,
            response_truncated: row.get(7)?,
        })
    }
}

struct Id(Uuid);

impl FromRow for Id {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

pub(crate) fn insert_message(unit: &mut Unit, message: &Message) {
    unit.insert(
        Query::insert()
            .into_table(M::Table)
            .columns([M::Id, M::WorkspaceId, M::EventType, M::Body, M::CreatedAt])
            .values_panic([
                message.id.uuid().into(),
                message.workspace_id.uuid().into(),
                message.event_type.as_str().into(),
                message.body.as_str().into(),
                message.created_at.as_micros().into(),
            ])
            .take(),
    );
}

pub(crate) fn insert(unit: &mut Unit, delivery: &Delivery) {
    unit.insert(
        Query::insert()
            .into_table(D::Table)
            .columns(COLUMNS)
            .values_panic([
                delivery.id.uuid().into(),
                delivery.webhook_id.uuid().into(),
                delivery.message_id.uuid().into(),
                delivery.event_type.as_str().into(),
                delivery.state.as_str().into(),
                delivery.tries.into(),
                delivery.attempts.into(),
                micros(delivery.next_attempt_at).into(),
                micros(delivery.last_attempt_at).into(),
                delivery.last_status.into(),
                delivery.last_error.clone().into(),
                micros(delivery.delivered_at).into(),
                delivery.created_at.as_micros().into(),
            ])
            .take(),
    );
}

fn of_webhook(webhook_id: WebhookId) -> SelectStatement {
    Query::select()
        .columns(COLUMNS.map(|column| (D::Table, column)))
        .from(D::Table)
        .and_where(Expr::col((D::Table, D::WebhookId)).eq(webhook_id.uuid()))
        .take()
}

fn with_body(mut select: SelectStatement) -> SelectStatement {
    select
        .column((M::Table, M::Body))
        .join(
            JoinType::InnerJoin,
            M::Table,
            Expr::col((M::Table, M::Id)).equals((D::Table, D::MessageId)),
        )
        .take()
}

/// What can be sent to the webhook now, the longest waiting first.
pub(crate) fn due(webhook_id: WebhookId, now: Timestamp, limit: u64) -> SelectStatement {
    with_body(of_webhook(webhook_id))
        .and_where(Expr::col((D::Table, D::State)).eq(DeliveryState::Pending.as_str()))
        .and_where(Expr::col((D::Table, D::NextAttemptAt)).lte(now.as_micros()))
        .order_by((D::Table, D::NextAttemptAt), Order::Asc)
        .limit(limit)
        .take()
}

pub(crate) async fn list_due(db: &Db, webhook_id: WebhookId, now: Timestamp, limit: u64) -> Result<Vec<DueDelivery>, DbError> {
    db.all(due(webhook_id, now, limit)).await
}

pub(crate) fn next_attempt(webhook_id: WebhookId) -> SelectStatement {
    Query::select()
        .expr(Func::min(Expr::col(D::NextAttemptAt)))
        .from(D::Table)
        .and_where(Expr::col(D::WebhookId).eq(webhook_id.uuid()))
        .and_where(Expr::col(D::State).eq(DeliveryState::Pending.as_str()))
        .take()
}

/// When the next pending delivery of the webhook is to be sent.
pub(crate) async fn find_next_attempt(db: &Db, webhook_id: WebhookId) -> Result<Option<Timestamp>, DbError> {
    db.one::<Option<Timestamp>>(next_attempt(webhook_id)).await
}

/// Which part of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub state: Option<DeliveryState>,
    pub event_type: Option<String>,
    /// Made at this moment or later.
    pub since: Option<Timestamp>,
}

/// A page, newest first.
pub(crate) fn page(webhook_id: WebhookId, filter: &Filter, before: Option<(i64, DeliveryId)>, limit: u64) -> SelectStatement {
    let mut select = of_webhook(webhook_id);
    select
        .and_where_option(filter.state.map(|state| Expr::col((D::Table, D::State)).eq(state.as_str())))
        .and_where_option(
            filter
                .event_type
                .as_deref()
                .map(|name| Expr::col((D::Table, D::EventType)).eq(name)),
        )
        .and_where_option(filter.since.map(|since| Expr::col((D::Table, D::CreatedAt)).gte(since.as_micros())));
    if let Some((created_at, id)) = before {
        let created = || Expr::col((D::Table, D::CreatedAt));
        select.cond_where(
            Cond::any().add(created().lt(created_at)).add(
                Cond::all()
                    .add(created().eq(created_at))
                    .add(Expr::col((D::Table, D::Id)).lt(id.uuid())),
            ),
        );
    }
    select
        .order_by((D::Table, D::CreatedAt), Order::Desc)
        .order_by((D::Table, D::Id), Order::Desc)
        .limit(limit)
        .take()
}

pub(crate) async fn list(db: &Db, select: SelectStatement) -> Result<Vec<Delivery>, DbError> {
    db.all(select).await
}

pub(crate) async fn find(db: &Db, webhook_id: WebhookId, id: DeliveryId) -> Result<Option<DueDelivery>, DbError> {
    let select = with_body(of_webhook(webhook_id))
        .and_where(Expr::col((D::Table, D::Id)).eq(id.uuid()))
        .take();
    db.opt(select).await
}

/// The newest `limit` attempts, oldest first.
pub(crate) async fn list_attempts(db: &Db, id: DeliveryId, limit: u64) -> Result<Vec<Attempt>, DbError> {
    let select = Query::select()
        .columns([
            A::DeliveryId,
            A::Number,
            A::StartedAt,
            A::DurationMs,
            A::Status,
            A::Error,
            A::Response,
            A::ResponseTruncated,
        ])
        .from(A::Table)
        .and_where(Expr::col(A::DeliveryId).eq(id.uuid()))
        .order_by(A::Number, Order::Desc)
        .limit(limit)
        .take();
    let mut attempts: Vec<Attempt> = db.all(select).await?;
    attempts.reverse();
    Ok(attempts)
}

/// Writes what an attempt made of the delivery. `after.attempts` is one more than before; when another attempt, a replay
/// or the end of the webhook came between, the unit fails with [`MOVED_ON`].
pub(crate) fn settle(unit: &mut Unit, after: &Delivery, attempt: &Attempt) {
    unit.update_guarded(
        Query::update()
            .table(D::Table)
            .value(D::State, after.state.as_str())
            .value(D::Tries, after.tries)
            .value(D::Attempts, after.attempts)
            .value(D::NextAttemptAt, micros(after.next_attempt_at))
            .value(D::LastAttemptAt, micros(after.last_attempt_at))
            .value(D::LastStatus, after.last_status)
            .value(D::LastError, after.last_error.clone())
            .value(D::DeliveredAt, micros(after.delivered_at))
            .and_where(Expr::col(D::Id).eq(after.id.uuid()))
            .and_where(Expr::col(D::State).eq(DeliveryState::Pending.as_str()))
            .and_where(Expr::col(D::Attempts).eq(after.attempts - 1))
            .take(),
        MOVED_ON,
    );
    unit.insert(
        Query::insert()
            .into_table(A::Table)
            .columns([
                A::DeliveryId,
                A::Number,
                A::StartedAt,
                A::DurationMs,
                A::Status,
                A::Error,
                A::Response,
                A::ResponseTruncated,
            ])
            .values_panic([
                attempt.delivery_id.uuid().into(),
                attempt.number.into(),
                attempt.started_at.as_micros().into(),
                attempt.duration_ms.into(),
                attempt.status.into(),
                attempt.error.clone().into(),
                attempt.response.clone().into(),
                attempt.response_truncated.into(),
            ])
            .take(),
    );
}

/// Nothing more is sent of what waits.
pub(crate) fn give_up_pending(unit: &mut Unit, webhook_id: WebhookId, error: &str) {
    unit.update(
        Query::update()
            .table(D::Table)
            .value(D::State, DeliveryState::Failed.as_str())
            .value(D::NextAttemptAt, Option::<i64>::None)
            .value(D::LastError, error)
            .and_where(Expr::col(D::WebhookId).eq(webhook_id.uuid()))
            .and_where(Expr::col(D::State).eq(DeliveryState::Pending.as_str()))
            .take(),
    );
}

fn restart(now: Timestamp) -> UpdateStatement {
    Query::update()
        .table(D::Table)
        .value(D::State, DeliveryState::Pending.as_str())
        .value(D::Tries, 0)
        .value(D::NextAttemptAt, now.as_micros())
        .take()
}

/// Sends it again from the start of the schedule, whatever its state.
pub(crate) fn replay(unit: &mut Unit, id: DeliveryId, now: Timestamp) {
    unit.update(restart(now).and_where(Expr::col(D::Id).eq(id.uuid())).take());
}

/// Of the failed ones made in `[since, until)`: the oldest `limit`.
pub(crate) fn failed_between(webhook_id: WebhookId, since: Timestamp, until: Timestamp, limit: u64) -> SelectStatement {
    of_webhook(webhook_id)
        .and_where(Expr::col((D::Table, D::State)).eq(DeliveryState::Failed.as_str()))
        .and_where(Expr::col((D::Table, D::CreatedAt)).gte(since.as_micros()))
        .and_where(Expr::col((D::Table, D::CreatedAt)).lt(until.as_micros()))
        .order_by((D::Table, D::CreatedAt), Order::Asc)
        .order_by((D::Table, D::Id), Order::Asc)
        .limit(limit)
        .take()
}

/// Only those that are still failed.
pub(crate) fn replay_failed(unit: &mut Unit, ids: &[DeliveryId], now: Timestamp) {
    unit.update(
        restart(now)
            .and_where(Expr::col(D::Id).is_in(ids.iter().map(|id| id.uuid())))
            .and_where(Expr::col(D::State).eq(DeliveryState::Failed.as_str()))
            .take(),
    );
}

/// Webhooks with something pending that should have been sent before `before`.
pub(crate) fn late(before: Timestamp, limit: u64) -> SelectStatement {
    Query::select()
        .distinct()
        .column(D::WebhookId)
        .from(D::Table)
        .and_where(Expr::col(D::State).eq(DeliveryState::Pending.as_str()))
        .and_where(Expr::col(D::NextAttemptAt).lt(before.as_micros()))
        .limit(limit)
        .take()
}

pub(crate) async fn list_late(db: &Db, before: Timestamp, limit: u64) -> Result<Vec<WebhookId>, DbError> {
    let rows: Vec<Id> = db.all(late(before, limit)).await?;
    Ok(rows.into_iter().map(|Id(id)| WebhookId::from_uuid(id)).collect())
}

/// Messages made before `before`.
pub(crate) fn old_messages(before: Timestamp, limit: u64) -> SelectStatement {
    Query::select()
        .column(M::Id)
        .from(M::Table)
        .and_where(Expr::col(M::CreatedAt).lt(before.as_micros()))
        .order_by(M::CreatedAt, Order::Asc)
        .limit(limit)
        .take()
}

pub(crate) async fn list_old_messages(db: &Db, before: Timestamp, limit: u64) -> Result<Vec<EventId>, DbError> {
    let rows: Vec<Id> = db.all(old_messages(before, limit)).await?;
    Ok(rows.into_iter().map(|Id(id)| EventId::from_uuid(id)).collect())
}

/// With their deliveries and attempts.
pub(crate) fn delete_messages(unit: &mut Unit, ids: &[EventId]) {
    unit.delete(
        Query::delete()
            .from_table(M::Table)
            .and_where(Expr::col(M::Id).is_in(ids.iter().map(|id| id.uuid())))
            .take(),
    );
}

pub(crate) fn erase_workspace(unit: &mut Unit, workspace_id: WorkspaceId) {
    unit.delete(
        Query::delete()
            .from_table(M::Table)
            .and_where(Expr::col(M::WorkspaceId).eq(workspace_id.uuid()))
            .take(),
    );
}
