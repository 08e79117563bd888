//! What was deleted and can still be restored.

use kernel::Timestamp;
use kernel::ids::{ProjectId, TaskId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Cond, Expr, ExprTrait, Order, Query};
use uuid::Uuid;

use super::{id, micros, padded};

/// A task that was deleted itself, not with the one above it.
#[derive(Debug, Clone)]
pub(crate) struct DeletedTask {
    pub id: TaskId,
    pub project_id: ProjectId,
    pub number: i64,
    pub title: String,
    pub deleted_at: Timestamp,
}

impl FromRow for DeletedTask {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            project_id: row.id(1)?,
            number: row.get(2)?,
            title: row.get(3)?,
            deleted_at: row.get(4)?,
        })
    }
}

/// Last deleted first, from behind `before`, and nothing from before `since`. The range over `deleted_with` walks the index over
/// what is deleted in the workspace, which is little.
pub(crate) async fn list(
    db: &Db,
    workspace_id: WorkspaceId,
    projects: &[ProjectId],
    since: Timestamp,
    before: Option<(Timestamp, Uuid)>,
    limit: u64,
) -> Result<Vec<DeletedTask>, DbError> {
    if projects.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Query::select();
    select
        .columns(["id", "project_id", "number", "title", "deleted_at"])
        .from("tasks")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("deleted_with").gte(Uuid::nil()))
        .and_where(Expr::col("deleted_with").equals("id"))
        .and_where(Expr::col("deleted_at").gt(micros(since)))
        .and_where(Expr::col("project_id").is_in(padded(projects.iter().copied())))
        .order_by("deleted_at", Order::Desc)
        .order_by("id", Order::Desc)
        .limit(limit);
    if let Some((at, last)) = before {
        let earlier = Expr::col("deleted_at").lt(micros(at));
        let same = Cond::all()
            .add(Expr::col("deleted_at").eq(micros(at)))
            .add(Expr::col("id").lt(last));
        select.cond_where(Cond::any().add(earlier).add(same));
    }
    db.all(select).await
}

/// Who deleted a task, and when.
#[derive(Debug)]
pub(crate) struct Deletion {
    pub task_id: TaskId,
    pub actor_id: Option<UserId>,
}

impl FromRow for Deletion {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            task_id: row.id(0)?,
            actor_id: row.id_opt(1)?,
        })
    }
}

/// The deletions in the history of these tasks, oldest first.
pub(crate) async fn list_deletions(db: &Db, workspace_id: WorkspaceId, ids: &[TaskId]) -> Result<Vec<Deletion>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = Query::select()
        .columns(["task_id", "actor_id"])
        .from("task_activity")
        .and_where(Expr::col("task_id").is_in(padded(ids.iter().copied())))
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("kind").eq("deleted"))
        .order_by("created_at", Order::Asc)
        .order_by("id", Order::Asc)
        .take();
    db.all(select).await
}

/// Erases a deleted task of this version, and what lies deleted below it.
pub(crate) fn erase(unit: &mut Unit, workspace_id: WorkspaceId, root: TaskId, version: i64, below: &[TaskId]) {
    let delete = Query::delete()
        .from_table("tasks")
        .and_where(Expr::col("id").eq(id(root)))
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("version").eq(version))
        .and_where(Expr::col("deleted_at").is_not_null())
        .take();
    unit.delete_guarded(delete, Guard::VERSION);
    if below.is_empty() {
        return;
    }
    let delete = Query::delete()
        .from_table("tasks")
        .and_where(Expr::col("id").is_in(padded(below.iter().copied())))
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("deleted_at").is_not_null())
        .take();
    unit.delete(delete);
}
