//! Erasing what belongs to a workspace or to one project of it, in portions.

use kernel::ids::{EntityId, NotificationId, ProjectId, TaskId, Uuid, WorkspaceId};
use platform::db::{Db, DbError, Unit};
use sea_query::{Expr, ExprTrait, Iden, Query, SelectStatement, SimpleExpr};

use super::in_ids;

/// Tables with their key inside a workspace, named as in the migrations.
#[derive(Iden, Clone, Copy)]
enum Doomed {
    Notifications,
    TaskParticipants,
    NotificationSubscriptions,
    EventLog,
    EventCounters,
    Id,
    TaskId,
    SubjectId,
    Seq,
    WorkspaceId,
    ProjectId,
}

use Doomed as D;

/// A workspace, or one project of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    pub workspace_id: WorkspaceId,
    pub project_id: Option<ProjectId>,
}

impl Area {
    fn keys(self, table: Doomed, key: Doomed, limit: u64) -> SelectStatement {
        Query::select()
            .distinct()
            .column(key)
            .from(table)
            .and_where(Expr::col(D::WorkspaceId).eq(self.workspace_id.uuid()))
            .and_where_option(self.project_id.map(|project| Expr::col(D::ProjectId).eq(project.uuid())))
            .limit(limit)
            .to_owned()
    }
}

/// Some of what is to go.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    pub notifications: Vec<NotificationId>,
    /// Tasks somebody commented on.
    pub tasks: Vec<TaskId>,
    /// Projects and tasks somebody subscribed to or muted.
    pub subjects: Vec<Uuid>,
    /// Numbers in the event log.
    pub entries: Vec<i64>,
}

impl Portion {
    pub(crate) const fn is_empty(&self) -> bool {
        self.notifications.is_empty() && self.tasks.is_empty() && self.subjects.is_empty() && self.entries.is_empty()
    }
}

/// At most `limit` of each kind.
pub(crate) async fn portion(db: &Db, area: Area, limit: u64) -> Result<Portion, DbError> {
    let notifications: Vec<Uuid> = db.all(area.keys(D::Notifications, D::Id, limit)).await?;
    let tasks: Vec<Uuid> = db.all(area.keys(D::TaskParticipants, D::TaskId, limit)).await?;
    Ok(Portion {
        notifications: notifications.into_iter().map(NotificationId::from_uuid).collect(),
        tasks: tasks.into_iter().map(TaskId::from_uuid).collect(),
        subjects: db.all(area.keys(D::NotificationSubscriptions, D::SubjectId, limit)).await?,
        entries: db.all(area.keys(D::EventLog, D::Seq, limit)).await?,
    })
}

pub(crate) fn erase(unit: &mut Unit, area: Area, portion: &Portion) {
    let mut from = |table: Doomed, found: SimpleExpr| {
        unit.delete(
            Query::delete()
                .from_table(table)
                .and_where(Expr::col(D::WorkspaceId).eq(area.workspace_id.uuid()))
                .and_where(found)
                .to_owned(),
        );
    };
    if !portion.notifications.is_empty() {
        from(D::Notifications, in_ids(D::Id, portion.notifications.iter().copied()));
    }
    if !portion.tasks.is_empty() {
        from(D::TaskParticipants, in_ids(D::TaskId, portion.tasks.iter().copied()));
    }
    if !portion.subjects.is_empty() {
        from(
            D::NotificationSubscriptions,
            Expr::col(D::SubjectId).is_in(portion.subjects.iter().copied()),
        );
    }
    if !portion.entries.is_empty() {
        from(D::EventLog, Expr::col(D::Seq).is_in(portion.entries.iter().copied()));
    }
}

/// The counter of a workspace that is gone.
pub(crate) fn erase_counter(unit: &mut Unit, workspace_id: WorkspaceId) {
    unit.delete(
        Query::delete()
            .from_table(D::EventCounters)
            .and_where(Expr::col(D::WorkspaceId).eq(workspace_id.uuid()))
            .to_owned(),
    );
}
