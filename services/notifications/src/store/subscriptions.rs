//! What people chose to hear of projects and tasks.

use kernel::Timestamp;
use kernel::ids::{EntityId, ProjectId, TaskId, UserId, Uuid, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Row, Slot, Unit};
use sea_query::{Cond, Expr, ExprTrait, Func, Iden, OnConflict, Order, Query, SelectStatement};

use super::in_ids;
use super::inbox::Scope;
use crate::model::{Choices, Level, Subject};

#[derive(Iden, Clone, Copy)]
enum NotificationSubscriptions {
    Table,
    UserId,
    SubjectId,
    Subject,
    WorkspaceId,
    ProjectId,
    Level,
    CreatedAt,
}

use NotificationSubscriptions as S;

#[derive(Debug, Clone)]
pub(crate) struct SubscriptionRow {
    pub user_id: UserId,
    /// Id of the project or of the task.
    pub subject_id: Uuid,
    pub subject: Subject,
    pub workspace_id: WorkspaceId,
    pub project_id: ProjectId,
    pub level: Level,
    pub created_at: Timestamp,
}

const COLUMNS: [NotificationSubscriptions; 7] = [
    S::UserId,
    S::SubjectId,
    S::Subject,
    S::WorkspaceId,
    S::ProjectId,
    S::Level,
    S::CreatedAt,
];

impl FromRow for SubscriptionRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            user_id: row.id(0)?,
            subject_id: row.get(1)?,
            subject: row.parse(2)?,
            workspace_id: row.id(3)?,
            project_id: row.id(4)?,
            level: row.parse(5)?,
            created_at: row.get(6)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from(S::Table).to_owned()
}

/// Everybody's choices about a task: for the task itself and for its project. As many as people chose; who leaves the
/// workspace takes their choices along.
pub(crate) async fn of_task(db: &Db, project_id: ProjectId, task_id: TaskId) -> Result<Choices, DbError> {
    let rows: Vec<SubscriptionRow> = db
        .all(
            select()
                .and_where(Expr::col(S::SubjectId).is_in([project_id.uuid(), task_id.uuid()]))
                .to_owned(),
        )
        .await?;
    Ok(Choices::new(rows.into_iter().map(|row| (row.user_id, row.subject, row.level))))
}

fn of_person(user_id: UserId, subjects: [Uuid; 2]) -> SelectStatement {
    select()
        .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
        .and_where(Expr::col(S::SubjectId).is_in(subjects))
        .to_owned()
}

/// One person's choices for a task's project and for the task; twice the same id for the project alone.
pub(crate) async fn find(db: &Db, user_id: UserId, subjects: [Uuid; 2]) -> Result<Vec<SubscriptionRow>, DbError> {
    db.all(of_person(user_id, subjects)).await
}

/// The same inside the transaction, for the reply of a change.
pub(crate) fn read(unit: &mut Unit, user_id: UserId, subjects: [Uuid; 2]) -> Slot<SubscriptionRow> {
    unit.read(of_person(user_id, subjects))
}

pub(crate) async fn count(db: &Db, user_id: UserId) -> Result<i64, DbError> {
    db.one(
        Query::select()
            .expr(Func::count(Expr::col(S::SubjectId)))
            .from(S::Table)
            .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
            .to_owned(),
    )
    .await
}

/// Where a person's choices lie.
pub(crate) async fn scopes(db: &Db, user_id: UserId) -> Result<Vec<Scope>, DbError> {
    db.all(
        Query::select()
            .distinct()
            .columns([S::WorkspaceId, S::ProjectId])
            .from(S::Table)
            .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
            .to_owned(),
    )
    .await
}

/// Which of a person's choices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub level: Option<Level>,
    pub subject: Option<Subject>,
    pub workspace_id: Option<WorkspaceId>,
    /// Projects the person cannot read any more.
    pub hidden: Vec<ProjectId>,
}

/// Newest first, after `position` (created_at in µs, subject).
pub(crate) async fn list(
    db: &Db,
    user_id: UserId,
    filter: &Filter,
    position: Option<(i64, Uuid)>,
    limit: u64,
) -> Result<Vec<SubscriptionRow>, DbError> {
    let mut select = select();
    select
        .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
        .and_where_option(filter.level.map(|level| Expr::col(S::Level).eq(level.as_str())))
        .and_where_option(filter.subject.map(|subject| Expr::col(S::Subject).eq(subject.as_str())))
        .and_where_option(filter.workspace_id.map(|workspace| Expr::col(S::WorkspaceId).eq(workspace.uuid())));
    if !filter.hidden.is_empty() {
        select.and_where(in_ids(S::ProjectId, filter.hidden.iter().copied()).not());
    }
    if let Some((created_at, id)) = position {
        select.and_where(Expr::col(S::CreatedAt).lte(created_at)).cond_where(
            Cond::any()
                .add(Expr::col(S::CreatedAt).lt(created_at))
                .add(Expr::col(S::CreatedAt).eq(created_at).and(Expr::col(S::SubjectId).lt(id))),
        );
    }
    select
        .order_by(S::CreatedAt, Order::Desc)
        .order_by(S::SubjectId, Order::Desc)
        .limit(limit);
    db.all(select).await
}

/// Takes the place of what was chosen for the subject before.
pub(crate) fn put(unit: &mut Unit, row: &SubscriptionRow) {
    unit.insert(
        Query::insert()
            .into_table(S::Table)
            .columns(COLUMNS)
            .values_panic([
                row.user_id.uuid().into(),
                row.subject_id.into(),
                row.subject.as_str().into(),
                row.workspace_id.uuid().into(),
                row.project_id.uuid().into(),
                row.level.as_str().into(),
                row.created_at.as_micros().into(),
            ])
            .on_conflict(
                OnConflict::columns([S::UserId, S::SubjectId])
                    .update_columns([S::ProjectId, S::Level])
                    .to_owned(),
            )
            .to_owned(),
    );
}

pub(crate) fn delete(unit: &mut Unit, user_id: UserId, subject_id: Uuid) {
    unit.delete(
        Query::delete()
            .from_table(S::Table)
            .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(S::SubjectId).eq(subject_id))
            .to_owned(),
    );
}

/// Choices that somebody made in a workspace until they left it at `until`.
pub(crate) fn erase_member(unit: &mut Unit, workspace_id: WorkspaceId, user_id: UserId, until: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table(S::Table)
            .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(S::WorkspaceId).eq(workspace_id.uuid()))
            .and_where(Expr::col(S::CreatedAt).lte(until.as_micros()))
            .to_owned(),
    );
}

pub(crate) fn erase_user(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table(S::Table)
            .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
            .to_owned(),
    );
}
