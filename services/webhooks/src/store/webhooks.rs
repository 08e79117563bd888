//! Webhooks of a workspace.

use kernel::Timestamp;
use kernel::ids::{EntityId, ProjectId, WebhookId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Slot, Unit};
use sea_query::{Expr, ExprTrait, OnConflict, Order, Query, SelectStatement};

use super::{WebhookTurns as T, Webhooks as W, micros, uuid_opt};
use crate::error::MOVED_ON;
use crate::model::{DisabledReason, Webhook};

const COLUMNS: [W; 18] = [
    W::Id,
    W::WorkspaceId,
    W::ProjectId,
    W::Url,
    W::Description,
    W::EventTypes,
    W::Enabled,
    W::DisabledReason,
    W::DisabledAt,
    W::Secret,
    W::OldSecretExpiresAt,
    W::FailingSince,
    W::LastSuccessAt,
    W::PausedUntil,
    W::Version,
    W::CreatedBy,
    W::CreatedAt,
    W::UpdatedAt,
];

impl FromRow for Webhook {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let decode = |column: usize, reason: String| DbError::Decode { column, reason };
        let reason: Option<String> = row.get(7)?;
        Ok(Self {
            id: row.id(0)?,
            workspace_id: row.id(1)?,
            project_id: row.id_opt(2)?,
            url: row.get(3)?,
            description: row.get(4)?,
            event_types: serde_json::from_value(row.get(5)?).map_err(|error| decode(5, error.to_string()))?,
            enabled: row.get(6)?,
            disabled_reason: reason.map(|text| text.parse()).transpose().map_err(|error| decode(7, error))?,
            disabled_at: row.get(8)?,
            secret: row.get(9)?,
            old_secret_expires_at: row.get(10)?,
            failing_since: row.get(11)?,
            last_success_at: row.get(12)?,
            paused_until: row.get(13)?,
            version: row.get(14)?,
            created_by: row.id(15)?,
            created_at: row.get(16)?,
            updated_at: row.get(17)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from(W::Table).take()
}

fn of_workspace(workspace_id: WorkspaceId) -> SelectStatement {
    select()
        .and_where(Expr::col(W::WorkspaceId).eq(workspace_id.uuid()))
        .order_by(W::Id, Order::Asc)
        .take()
}

/// A page in the order of their making, from after `after`.
pub(crate) fn page(workspace_id: WorkspaceId, after: Option<WebhookId>, limit: u64) -> SelectStatement {
    of_workspace(workspace_id)
        .and_where_option(after.map(|id| Expr::col(W::Id).gt(id.uuid())))
        .limit(limit)
        .take()
}

/// Those that are switched on, at most `limit`.
pub(crate) fn enabled(workspace_id: WorkspaceId, limit: u64) -> SelectStatement {
    of_workspace(workspace_id)
        .and_where(Expr::col(W::Enabled).eq(true))
        .limit(limit)
        .take()
}

/// Switched on, and only for this project.
pub(crate) fn of_project(workspace_id: WorkspaceId, project_id: ProjectId) -> SelectStatement {
    of_workspace(workspace_id)
        .and_where(Expr::col(W::ProjectId).eq(project_id.uuid()))
        .and_where(Expr::col(W::Enabled).eq(true))
        .take()
}

pub(crate) async fn list(db: &Db, select: SelectStatement) -> Result<Vec<Webhook>, DbError> {
    db.all(select).await
}

pub(crate) async fn find(db: &Db, workspace_id: WorkspaceId, id: WebhookId) -> Result<Option<Webhook>, DbError> {
    db.opt(of_workspace(workspace_id).and_where(Expr::col(W::Id).eq(id.uuid())).take())
        .await
}

/// For sending, which acts for no person.
pub(crate) async fn find_for_sending(db: &Db, id: WebhookId) -> Result<Option<Webhook>, DbError> {
    db.opt(select().and_where(Expr::col(W::Id).eq(id.uuid())).take()).await
}

/// How many webhooks the workspace has, for who makes one more. They are made one after the other, because each holds the
/// workspace's row from here to its commit.
pub(crate) fn take_turn(unit: &mut Unit, workspace_id: WorkspaceId, now: Timestamp) -> Slot<i64> {
    unit.insert(
        Query::insert()
            .into_table(T::Table)
            .columns([T::WorkspaceId, T::TakenAt])
            .values_panic([workspace_id.uuid().into(), now.as_micros().into()])
            .on_conflict(OnConflict::column(T::WorkspaceId).update_column(T::TakenAt).to_owned())
            .take(),
    );
    unit.read(
        Query::select()
            .expr(Expr::col(W::Id).count())
            .from(W::Table)
            .and_where(Expr::col(W::WorkspaceId).eq(workspace_id.uuid()))
            .take(),
    )
}

fn event_types(webhook: &Webhook) -> String {
    // A list of strings always serialises.
    serde_json::to_string(&webhook.event_types).unwrap_or_default()
}

pub(crate) fn insert(unit: &mut Unit, webhook: &Webhook) {
    unit.insert(
        Query::insert()
            .into_table(W::Table)
            .columns(COLUMNS)
            .values_panic([
                webhook.id.uuid().into(),
                webhook.workspace_id.uuid().into(),
                uuid_opt(webhook.project_id).into(),
                webhook.url.as_str().into(),
                webhook.description.clone().into(),
                event_types(webhook).into(),
                webhook.enabled.into(),
                webhook.disabled_reason.map(DisabledReason::as_str).into(),
                micros(webhook.disabled_at).into(),
                webhook.secret.as_str().into(),
                micros(webhook.old_secret_expires_at).into(),
                micros(webhook.failing_since).into(),
                micros(webhook.last_success_at).into(),
                micros(webhook.paused_until).into(),
                webhook.version.into(),
                webhook.created_by.uuid().into(),
                webhook.created_at.as_micros().into(),
                webhook.updated_at.as_micros().into(),
            ])
            .take(),
    );
}

/// Writes what people decide, over the row of version `webhook.version - 1`.
pub(crate) fn update(unit: &mut Unit, webhook: &Webhook) {
    unit.update_guarded(
        Query::update()
            .table(W::Table)
            .value(W::ProjectId, uuid_opt(webhook.project_id))
            .value(W::Url, webhook.url.as_str())
            .value(W::Description, webhook.description.clone())
            .value(W::EventTypes, event_types(webhook))
            .value(W::Enabled, webhook.enabled)
            .value(W::DisabledReason, webhook.disabled_reason.map(DisabledReason::as_str))
            .value(W::DisabledAt, micros(webhook.disabled_at))
            .value(W::Secret, webhook.secret.as_str())
            // Of the version before the list: on the list, or ended.
            .value(W::OldSecret, Option::<String>::None)
            .value(W::OldSecretExpiresAt, micros(webhook.old_secret_expires_at))
            .value(W::FailingSince, micros(webhook.failing_since))
            .value(W::PausedUntil, micros(webhook.paused_until))
            .value(W::Version, webhook.version)
            .value(W::UpdatedAt, webhook.updated_at.as_micros())
            .and_where(Expr::col(W::WorkspaceId).eq(webhook.workspace_id.uuid()))
            .and_where(Expr::col(W::Id).eq(webhook.id.uuid()))
            .and_where(Expr::col(W::Version).eq(webhook.version - 1))
            .take(),
        Guard::VERSION,
    );
}

/// The version stays: what sending learns is no change that a person could run into.
pub(crate) fn note_success(unit: &mut Unit, id: WebhookId, now: Timestamp) {
    unit.update(
        Query::update()
            .table(W::Table)
            .value(W::FailingSince, Option::<i64>::None)
            .value(W::PausedUntil, Option::<i64>::None)
            .value(W::LastSuccessAt, now.as_micros())
            .and_where(Expr::col(W::Id).eq(id.uuid()))
            .take(),
    );
}

pub(crate) fn note_failure(unit: &mut Unit, id: WebhookId, now: Timestamp) {
    unit.update(
        Query::update()
            .table(W::Table)
            .value(W::FailingSince, now.as_micros())
            .and_where(Expr::col(W::Id).eq(id.uuid()))
            .and_where(Expr::col(W::FailingSince).is_null())
            .take(),
    );
}

pub(crate) fn pause(unit: &mut Unit, id: WebhookId, until: Timestamp) {
    unit.update(
        Query::update()
            .table(W::Table)
            .value(W::PausedUntil, until.as_micros())
            .and_where(Expr::col(W::Id).eq(id.uuid()))
            .take(),
    );
}

/// Switched off by the program; the unit fails with [`MOVED_ON`] when somebody changed it meanwhile.
pub(crate) fn disable(unit: &mut Unit, webhook: &Webhook, reason: DisabledReason, now: Timestamp) {
    unit.update_guarded(
        Query::update()
            .table(W::Table)
            .value(W::Enabled, false)
            .value(W::DisabledReason, reason.as_str())
            .value(W::DisabledAt, now.as_micros())
            .value(W::Version, webhook.version + 1)
            .value(W::UpdatedAt, now.as_micros())
            .and_where(Expr::col(W::Id).eq(webhook.id.uuid()))
            .and_where(Expr::col(W::Version).eq(webhook.version))
            .and_where(Expr::col(W::Enabled).eq(true))
            .take(),
        MOVED_ON,
    );
}

/// With its deliveries and old secrets.
pub(crate) fn delete(unit: &mut Unit, webhook: &Webhook) {
    unit.delete_guarded(
        Query::delete()
            .from_table(W::Table)
            .and_where(Expr::col(W::WorkspaceId).eq(webhook.workspace_id.uuid()))
            .and_where(Expr::col(W::Id).eq(webhook.id.uuid()))
            .and_where(Expr::col(W::Version).eq(webhook.version))
            .take(),
        Guard::VERSION,
    );
}

pub(crate) fn erase_workspace(unit: &mut Unit, workspace_id: WorkspaceId) {
    unit.delete(
        Query::delete()
            .from_table(W::Table)
            .and_where(Expr::col(W::WorkspaceId).eq(workspace_id.uuid()))
            .take(),
    );
    unit.delete(
        Query::delete()
            .from_table(T::Table)
            .and_where(Expr::col(T::WorkspaceId).eq(workspace_id.uuid()))
            .take(),
    );
}
