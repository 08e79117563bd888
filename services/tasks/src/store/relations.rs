//! Relations between tasks: edges from a source to a target.

use kernel::Timestamp;
use kernel::ids::{TaskId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Condition, Expr, ExprTrait, Order, Query};

use super::{Count, IdRow, id, id_opt, micros, padded};
use crate::model::relation::Edge;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RelationRow {
    pub workspace_id: WorkspaceId,
    pub edge: Edge,
    pub source_id: TaskId,
    pub target_id: TaskId,
    pub creator_id: Option<UserId>,
    pub created_at: Timestamp,
}

const COLUMNS: [&str; 6] = ["workspace_id", "kind", "source_id", "target_id", "creator_id", "created_at"];

impl FromRow for RelationRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            workspace_id: row.id(0)?,
            edge: row.parse(1)?,
            source_id: row.id(2)?,
            target_id: row.id(3)?,
            creator_id: row.id_opt(4)?,
            created_at: row.get(5)?,
        })
    }
}

/// Edges that start or end at the task.
fn touching(task_id: TaskId) -> Condition {
    Condition::any()
        .add(Expr::col("source_id").eq(id(task_id)))
        .add(Expr::col("target_id").eq(id(task_id)))
}

/// All relations of a task, oldest first.
pub(crate) async fn list(db: &Db, workspace_id: WorkspaceId, task_id: TaskId, limit: u64) -> Result<Vec<RelationRow>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("task_relations")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .cond_where(touching(task_id))
        .order_by("created_at", Order::Asc)
        .order_by("source_id", Order::Asc)
        .order_by("target_id", Order::Asc)
        .order_by("kind", Order::Asc)
        .limit(limit)
        .take();
    db.all(select).await
}

/// Of a whole workspace, from behind one with these ends and this kind.
pub(crate) async fn list_in(
    db: &Db,
    workspace_id: WorkspaceId,
    after: Option<&(TaskId, TaskId, String)>,
    limit: u64,
) -> Result<Vec<RelationRow>, DbError> {
    let beyond = after.map(|(source, target, kind)| {
        let (source_id, target_id) = (|| Expr::col("source_id"), || Expr::col("target_id"));
        let same_source = source_id().eq(id(*source)).and(target_id().gt(id(*target)));
        let same_ends = source_id()
            .eq(id(*source))
            .and(target_id().eq(id(*target)))
            .and(Expr::col("kind").gt(kind.as_str()));
        source_id().gt(id(*source)).or(same_source).or(same_ends)
    });
    let select = Query::select()
        .columns(COLUMNS)
        .from("task_relations")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where_option(beyond)
        .order_by("source_id", Order::Asc)
        .order_by("target_id", Order::Asc)
        .order_by("kind", Order::Asc)
        .limit(limit)
        .take();
    db.all(select).await
}

pub(crate) async fn count(db: &Db, task_id: TaskId) -> Result<i64, DbError> {
    let select = Query::select()
        .expr(Expr::col("kind").count())
        .from("task_relations")
        .cond_where(touching(task_id))
        .take();
    Ok(db.one::<Count>(select).await?.0)
}

pub(crate) async fn find(db: &Db, edge: Edge, source: TaskId, target: TaskId) -> Result<Option<RelationRow>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("task_relations")
        .and_where(Expr::col("source_id").eq(id(source)))
        .and_where(Expr::col("target_id").eq(id(target)))
        .and_where(Expr::col("kind").eq(edge.as_str()))
        .take();
    db.opt(select).await
}

/// Where edges of this kind lead from these tasks; at most `limit`.
pub(crate) async fn list_targets(db: &Db, edge: Edge, sources: &[TaskId], limit: u64) -> Result<Vec<TaskId>, DbError> {
    let select = Query::select()
        .column("target_id")
        .distinct()
        .from("task_relations")
        .and_where(Expr::col("source_id").is_in(padded(sources.iter().copied())))
        .and_where(Expr::col("kind").eq(edge.as_str()))
        .limit(limit)
        .take();
    Ok(db.all::<IdRow>(select).await?.into_iter().map(|row| TaskId(row.0)).collect())
}

pub(crate) fn insert(unit: &mut Unit, relation: &RelationRow) {
    let insert = Query::insert()
        .into_table("task_relations")
        .columns(COLUMNS)
        .values_panic([
            id(relation.workspace_id).into(),
            relation.edge.as_str().into(),
            id(relation.source_id).into(),
            id(relation.target_id).into(),
            id_opt(relation.creator_id).into(),
            micros(relation.created_at).into(),
        ])
        .take();
    unit.insert(insert);
}

/// The unit fails when somebody else deleted it meanwhile.
pub(crate) fn delete(unit: &mut Unit, relation: &RelationRow, guard: Guard) {
    let delete = Query::delete()
        .from_table("task_relations")
        .and_where(Expr::col("source_id").eq(id(relation.source_id)))
        .and_where(Expr::col("target_id").eq(id(relation.target_id)))
        .and_where(Expr::col("kind").eq(relation.edge.as_str()))
        .take();
    unit.delete_guarded(delete, guard);
}

/// How often an edge was added to the graph of a workspace.
pub(crate) async fn graph_version(db: &Db, workspace_id: WorkspaceId) -> Result<i64, DbError> {
    let select = Query::select()
        .column("relations_version")
        .from("task_workspaces")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .take();
    Ok(db.one::<Count>(select).await?.0)
}

/// The unit fails when an edge was added since `version` was read: what was found out about the graph may be wrong.
pub(crate) fn grow_graph(unit: &mut Unit, workspace_id: WorkspaceId, version: i64, guard: Guard) {
    let update = Query::update()
        .table("task_workspaces")
        .value("relations_version", version + 1)
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("relations_version").eq(version))
        .take();
    unit.update_guarded(update, guard);
}
