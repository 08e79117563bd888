//! Erasing for good. Links, comments, history and terms go with their task (ON DELETE CASCADE).

use kernel::Timestamp;
use kernel::ids::{ProjectId, TaskId, WorkspaceId};
use platform::db::{Db, DbError, Unit};
use sea_query::{Expr, ExprTrait, Order, Query};
use uuid::Uuid;

use super::{IdRow, id, micros, padded};

/// Some tasks deleted before `deadline`. Every deleted task names in `deleted_with` what took it along, so the range
/// walks the index over the deleted ones; an index over `deleted_at` would tempt planners to answer lists of live tasks
/// (NULL, nearly all of them) from it.
pub(crate) async fn list_expired(db: &Db, deadline: Timestamp, limit: u64) -> Result<Vec<TaskId>, DbError> {
    let select = Query::select()
        .column("id")
        .from("tasks")
        .and_where(Expr::col("deleted_with").gte(Uuid::nil()))
        .and_where(Expr::col("deleted_at").lt(micros(deadline)))
        .order_by("deleted_with", Order::Asc)
        .limit(limit)
        .take();
    Ok(db.all::<IdRow>(select).await?.into_iter().map(|row| TaskId(row.0)).collect())
}

/// Only rows that are still deleted and expired: one may have been restored since it was listed.
pub(crate) fn delete_expired(unit: &mut Unit, ids: &[TaskId], deadline: Timestamp) {
    let delete = Query::delete()
        .from_table("tasks")
        .and_where(Expr::col("id").is_in(padded(ids.iter().copied())))
        .and_where(Expr::col("deleted_at").lt(micros(deadline)))
        .take();
    unit.delete(delete);
}

/// Series whose present task is gone have nothing to go on from.
pub(crate) fn delete_stranded_series(unit: &mut Unit, ids: &[TaskId]) {
    let gone = Query::select()
        .column("id")
        .from("tasks")
        .and_where(Expr::col("id").is_in(padded(ids.iter().copied())))
        .take();
    let delete = Query::delete()
        .from_table("task_recurrences")
        .and_where(Expr::col("task_id").is_in(padded(ids.iter().copied())))
        .and_where(Expr::col("task_id").not_in_subquery(gone))
        .take();
    unit.delete(delete);
}

/// Some tasks of a workspace, or of one project of it.
pub(crate) async fn list_in(db: &Db, workspace_id: WorkspaceId, project_id: Option<ProjectId>, limit: u64) -> Result<Vec<TaskId>, DbError> {
    let select = Query::select()
        .column("id")
        .from("tasks")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where_option(project_id.map(|project_id| Expr::col("project_id").eq(id(project_id))))
        .limit(limit)
        .take();
    Ok(db.all::<IdRow>(select).await?.into_iter().map(|row| TaskId(row.0)).collect())
}

pub(crate) fn delete_tasks(unit: &mut Unit, workspace_id: WorkspaceId, ids: &[TaskId]) {
    let delete = Query::delete()
        .from_table("tasks")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("id").is_in(padded(ids.iter().copied())))
        .take();
    unit.delete(delete);
}

/// What remains of a workspace once its tasks are gone.
pub(crate) fn delete_settings(unit: &mut Unit, workspace_id: WorkspaceId) {
    for table in [
        "labels",
        "task_states",
        "task_views",
        "task_recurrences",
        "task_projects",
        "task_workspaces",
    ] {
        let delete = Query::delete()
            .from_table(table)
            .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
            .take();
        unit.delete(delete);
    }
}

/// What remains of a project once its tasks are gone.
pub(crate) fn delete_project(unit: &mut Unit, workspace_id: WorkspaceId, project_id: ProjectId) {
    for table in ["task_views", "task_recurrences", "task_projects"] {
        let delete = Query::delete()
            .from_table(table)
            .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
            .and_where(Expr::col("project_id").eq(id(project_id)))
            .take();
        unit.delete(delete);
    }
}
