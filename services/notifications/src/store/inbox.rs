//! Rows of the inbox.

use std::collections::HashMap;

use kernel::Timestamp;
use kernel::ids::{EntityId, EventId, NotificationId, ProjectId, TaskId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Row, Slot, Unit};
use sea_query::{Cond, Expr, ExprTrait, Func, Iden, Order, Query, SelectStatement};

use super::{in_ids, uuid_opt};
use crate::error::NOT_FOUND;
use crate::model::{Content, Kind, Told};

#[derive(Iden, Clone, Copy)]
enum Notifications {
    Table,
    Id,
    UserId,
    EventId,
    Kind,
    WorkspaceId,
    ProjectId,
    TaskId,
    NeedsAccess,
    InApp,
    ChangeKey,
    ActorId,
    Content,
    CreatedAt,
    ReadAt,
    ToldInApp,
    ToldEmail,
    AwaitsDigest,
}

use Notifications as N;

#[derive(Debug, Clone)]
pub(crate) struct NotificationRow {
    pub id: NotificationId,
    pub user_id: UserId,
    pub event_id: EventId,
    pub kind: Kind,
    pub workspace_id: Option<WorkspaceId>,
    pub project_id: Option<ProjectId>,
    pub task_id: Option<TaskId>,
    pub change_key: Option<String>,
    pub actor_id: Option<UserId>,
    pub content: Content,
    pub created_at: Timestamp,
    pub read_at: Option<Timestamp>,
}

const COLUMNS: [Notifications; 12] = [
    N::Id,
    N::UserId,
    N::EventId,
    N::Kind,
    N::WorkspaceId,
    N::ProjectId,
    N::TaskId,
    N::ChangeKey,
    N::ActorId,
    N::Content,
    N::CreatedAt,
    N::ReadAt,
];

impl FromRow for NotificationRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let content: String = row.get(9)?;
        Ok(Self {
            id: row.id(0)?,
            user_id: row.id(1)?,
            event_id: row.id(2)?,
            kind: row.parse(3)?,
            workspace_id: row.id_opt(4)?,
            project_id: row.id_opt(5)?,
            task_id: row.id_opt(6)?,
            change_key: row.get(7)?,
            actor_id: row.id_opt(8)?,
            content: serde_json::from_str(&content).map_err(|error| DbError::Decode {
                column: 9,
                reason: error.to_string(),
            })?,
            created_at: row.get(10)?,
            read_at: row.get(11)?,
        })
    }
}

/// When nothing is told in the inbox, the row only remembers the mail. `awaits_digest`: the mail is to be part of the daily digest.
pub(crate) fn insert(unit: &mut Unit, row: &NotificationRow, told: Told, awaits_digest: bool) -> kernel::Result<()> {
    let content = serde_json::to_string(&row.content).map_err(kernel::Error::internal)?;
    unit.insert(
        Query::insert()
            .into_table(N::Table)
            .columns(
                COLUMNS
                    .into_iter()
                    .chain([N::NeedsAccess, N::InApp, N::ToldInApp, N::ToldEmail, N::AwaitsDigest]),
            )
            .values_panic([
                row.id.uuid().into(),
                row.user_id.uuid().into(),
                row.event_id.uuid().into(),
                row.kind.as_str().into(),
                uuid_opt(row.workspace_id).into(),
                uuid_opt(row.project_id).into(),
                uuid_opt(row.task_id).into(),
                row.change_key.clone().into(),
                uuid_opt(row.actor_id).into(),
                content.into(),
                row.created_at.as_micros().into(),
                row.read_at.map(Timestamp::as_micros).into(),
                row.kind.needs_access().into(),
                told.in_app.is_some().into(),
                told.in_app.map(Kind::as_str).into(),
                told.email.map(Kind::as_str).into(),
                awaits_digest.into(),
            ])
            .to_owned(),
    );
    Ok(())
}

/// Where rows of an inbox lie; access is checked per scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub workspace_id: WorkspaceId,
    pub project_id: Option<ProjectId>,
}

impl FromRow for Scope {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            workspace_id: row.id(0)?,
            project_id: row.id_opt(1)?,
        })
    }
}

/// All scopes of a person's inbox that need access.
pub(crate) async fn scopes(db: &Db, user_id: UserId) -> Result<Vec<Scope>, DbError> {
    db.all(
        Query::select()
            .distinct()
            .columns([N::WorkspaceId, N::ProjectId])
            .from(N::Table)
            .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(N::InApp).eq(true))
            .and_where(Expr::col(N::NeedsAccess).eq(true))
            .and_where(Expr::col(N::WorkspaceId).is_not_null())
            .to_owned(),
    )
    .await
}

/// Which rows of one person's inbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub unread: Option<bool>,
    pub workspace_id: Option<WorkspaceId>,
    pub kinds: Vec<Kind>,
    /// Created at or before.
    pub until: Option<Timestamp>,
    /// Scopes the person cannot read any more.
    pub hidden: Vec<Scope>,
}

fn matching(select: &mut SelectStatement, user_id: UserId, filter: &Filter) {
    select
        .from(N::Table)
        .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
        .and_where(Expr::col(N::InApp).eq(true));
    if let Some(unread) = filter.unread {
        select.and_where(if unread {
            Expr::col(N::ReadAt).is_null()
        } else {
            Expr::col(N::ReadAt).is_not_null()
        });
    }
    if let Some(workspace) = filter.workspace_id {
        select.and_where(Expr::col(N::WorkspaceId).eq(workspace.uuid()));
    }
    if !filter.kinds.is_empty() {
        select.and_where(Expr::col(N::Kind).is_in(filter.kinds.iter().map(|kind| kind.as_str())));
    }
    if let Some(until) = filter.until {
        select.and_where(Expr::col(N::CreatedAt).lte(until.as_micros()));
    }
    hide(select, &filter.hidden);
}

/// Leaves out rows of scopes the reader lost. Hardly ever does anything: most people lose access to nothing.
fn hide(select: &mut SelectStatement, hidden: &[Scope]) {
    let projects: Vec<ProjectId> = hidden.iter().filter_map(|scope| scope.project_id).collect();
    if !projects.is_empty() {
        select.cond_where(
            Cond::any()
                .add(Expr::col(N::NeedsAccess).eq(false))
                .add(Expr::col(N::ProjectId).is_null())
                .add(in_ids(N::ProjectId, projects).not()),
        );
    }
    let workspaces: Vec<WorkspaceId> = hidden.iter().filter(|s| s.project_id.is_none()).map(|s| s.workspace_id).collect();
    if !workspaces.is_empty() {
        select.cond_where(
            Cond::any()
                .add(Expr::col(N::NeedsAccess).eq(false))
                .add(Expr::col(N::ProjectId).is_not_null())
                .add(in_ids(N::WorkspaceId, workspaces).not()),
        );
    }
}

/// Newest first, after `position` (created_at in µs, id).
pub(crate) async fn list(
    db: &Db,
    user_id: UserId,
    filter: &Filter,
    position: Option<(i64, NotificationId)>,
    limit: u64,
) -> Result<Vec<NotificationRow>, DbError> {
    let mut select = Query::select();
    select.columns(COLUMNS);
    matching(&mut select, user_id, filter);
    if let Some((created_at, id)) = position {
        select.and_where(Expr::col(N::CreatedAt).lte(created_at)).cond_where(
            Cond::any()
                .add(Expr::col(N::CreatedAt).lt(created_at))
                .add(Expr::col(N::CreatedAt).eq(created_at).and(Expr::col(N::Id).lt(id.uuid()))),
        );
    }
    select.order_by(N::CreatedAt, Order::Desc).order_by(N::Id, Order::Desc).limit(limit);
    db.all(select).await
}

pub(crate) struct Count(pub i64);

impl FromRow for Count {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.get(0)?))
    }
}

fn count_select(user_id: UserId, filter: &Filter) -> SelectStatement {
    let mut select = Query::select();
    select.expr(Func::count(Expr::col(N::Id)));
    matching(&mut select, user_id, filter);
    select
}

pub(crate) async fn count(db: &Db, user_id: UserId, filter: &Filter) -> Result<i64, DbError> {
    db.one::<Count>(count_select(user_id, filter)).await.map(|count| count.0)
}

/// The same at this point of the unit.
pub(crate) fn read_count(unit: &mut Unit, user_id: UserId, filter: &Filter) -> Slot<Count> {
    unit.read(count_select(user_id, filter))
}

pub(crate) async fn find(db: &Db, user_id: UserId, id: NotificationId) -> Result<Option<NotificationRow>, DbError> {
    db.opt(
        Query::select()
            .columns(COLUMNS)
            .from(N::Table)
            .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(N::Id).eq(id.uuid()))
            .and_where(Expr::col(N::InApp).eq(true))
            .to_owned(),
    )
    .await
}

/// What one person has of one change.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfChange {
    pub told: Told,
    pub rows: Vec<NotificationId>,
    /// One of the rows waits for the digest.
    pub awaits_digest: bool,
}

/// What stands in `told_in_app` at `index` and in `told_email` behind it.
fn told(row: &Row<'_>, index: usize) -> Result<Told, DbError> {
    let kind = |index| row.get::<Option<String>>(index)?.map(|_| row.parse(index)).transpose();
    Ok(Told {
        in_app: kind(index)?,
        email: kind(index + 1)?,
    })
}

struct ToldRow(NotificationId, UserId, Told, Option<bool>);

impl FromRow for ToldRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.id(0)?, row.id(1)?, told(row, 2)?, row.get(4)?))
    }
}

/// What people were told of one change of a task, dismissed or not.
pub(crate) async fn of_change(db: &Db, change_key: &str) -> Result<HashMap<UserId, OfChange>, DbError> {
    let rows: Vec<ToldRow> = db
        .all(
            Query::select()
                .columns([N::Id, N::UserId, N::ToldInApp, N::ToldEmail, N::AwaitsDigest])
                .from(N::Table)
                .and_where(Expr::col(N::ChangeKey).eq(change_key))
                .to_owned(),
        )
        .await?;
    let mut all: HashMap<UserId, OfChange> = HashMap::new();
    for ToldRow(id, user, told, awaits_digest) in rows {
        let of = all.entry(user).or_default();
        of.awaits_digest |= awaits_digest.unwrap_or(false);
        of.told = of.told.with(told);
        of.rows.push(id);
    }
    Ok(all)
}

/// 404 when it has gone meanwhile.
pub(crate) fn set_read(unit: &mut Unit, user_id: UserId, id: NotificationId, read_at: Option<Timestamp>) {
    unit.update_guarded(
        Query::update()
            .table(N::Table)
            .value(N::ReadAt, read_at.map(Timestamp::as_micros))
            .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(N::Id).eq(id.uuid()))
            .to_owned(),
        NOT_FOUND,
    );
}

pub(crate) fn read_all(unit: &mut Unit, user_id: UserId, workspace_id: Option<WorkspaceId>, until: Timestamp, now: Timestamp) {
    let mut update = Query::update();
    update
        .table(N::Table)
        .value(N::ReadAt, now.as_micros())
        .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
        .and_where(Expr::col(N::ReadAt).is_null())
        .and_where(Expr::col(N::CreatedAt).lte(until.as_micros()));
    if let Some(workspace) = workspace_id {
        update.and_where(Expr::col(N::WorkspaceId).eq(workspace.uuid()));
    }
    unit.update(update);
}

/// Takes it out of the inbox; 404 when it has gone already. The row stays until retention, so that a second event of
/// the same change does not bring it back.
pub(crate) fn dismiss(unit: &mut Unit, user_id: UserId, id: NotificationId, now: Timestamp) {
    unit.update_guarded(
        Query::update()
            .table(N::Table)
            .value(N::InApp, false)
            .value(N::ReadAt, now.as_micros())
            .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(N::Id).eq(id.uuid()))
            .and_where(Expr::col(N::InApp).eq(true))
            .to_owned(),
        NOT_FOUND,
    );
}

/// Makes room for a more specific notification of the same change.
pub(crate) fn replace(unit: &mut Unit, user_id: UserId, rows: &[NotificationId]) {
    if rows.is_empty() {
        return;
    }
    unit.delete(
        Query::delete()
            .from_table(N::Table)
            .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
            .and_where(in_ids(N::Id, rows.iter().copied()))
            .to_owned(),
    );
}

/// One row that waits for its reader's digest.
#[derive(Debug, Clone)]
pub(crate) struct AwaitingRow {
    pub row: NotificationRow,
    pub told: Told,
}

impl FromRow for AwaitingRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            row: NotificationRow::from_row(row)?,
            told: told(row, COLUMNS.len())?,
        })
    }
}

/// What waits for a person's digest, oldest first.
pub(crate) async fn awaiting(db: &Db, user_id: UserId, limit: u64) -> Result<Vec<AwaitingRow>, DbError> {
    db.all(
        Query::select()
            .columns(COLUMNS.into_iter().chain([N::ToldInApp, N::ToldEmail]))
            .from(N::Table)
            .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(N::AwaitsDigest).eq(true))
            .order_by(N::CreatedAt, Order::Asc)
            .order_by(N::Id, Order::Asc)
            .limit(limit)
            .to_owned(),
    )
    .await
}

/// These rows wait for no digest any more.
pub(crate) fn settle(unit: &mut Unit, user_id: UserId, rows: &[NotificationId]) {
    if rows.is_empty() {
        return;
    }
    unit.update(
        Query::update()
            .table(N::Table)
            .value(N::AwaitsDigest, false)
            .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
            .and_where(in_ids(N::Id, rows.iter().copied()))
            .to_owned(),
    );
}

/// Retention of read and of unread rows.
pub(crate) fn erase_old(unit: &mut Unit, read_before: Timestamp, created_before: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table(N::Table)
            .and_where(Expr::col(N::ReadAt).lt(read_before.as_micros()))
            .to_owned(),
    );
    unit.delete(
        Query::delete()
            .from_table(N::Table)
            .and_where(Expr::col(N::CreatedAt).lt(created_before.as_micros()))
            .to_owned(),
    );
}

pub(crate) fn erase_user(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table(N::Table)
            .and_where(Expr::col(N::UserId).eq(user_id.uuid()))
            .to_owned(),
    );
}
