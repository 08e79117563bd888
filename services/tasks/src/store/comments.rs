//! Comments on tasks.

use kernel::Timestamp;
use kernel::ids::{CommentId, TaskId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Condition, Expr, ExprTrait, Order, Query, SelectStatement};

use super::{id, id_opt, micros, micros_opt};
use crate::model::Comment;

impl FromRow for Comment {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            workspace_id: row.id(1)?,
            task_id: row.id(2)?,
            author_id: row.id_opt(3)?,
            body: row.get(4)?,
            version: row.get(5)?,
            created_at: row.get(6)?,
            updated_at: row.get(7)?,
            edited_at: row.get(8)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "workspace_id",
            "task_id",
            "author_id",
            "body",
            "version",
            "created_at",
            "updated_at",
            "edited_at",
        ])
        .from("comments")
        .take()
}

/// Rows after `(created_at, id)` in the order of writing.
pub(crate) fn after(position: Option<(Timestamp, uuid::Uuid)>) -> Condition {
    match position {
        None => Condition::all(),
        Some((at, last)) => Condition::any()
            .add(Expr::col("created_at").gt(micros(at)))
            .add(Expr::col("created_at").eq(micros(at)).and(Expr::col("id").gt(last))),
    }
}

pub(crate) async fn list(db: &Db, task_id: TaskId, position: Option<(Timestamp, uuid::Uuid)>, limit: u64) -> Result<Vec<Comment>, DbError> {
    let mut statement = in_order(position, limit);
    statement.and_where(Expr::col("task_id").eq(id(task_id)));
    db.all(statement).await
}

/// Of a whole workspace.
pub(crate) async fn list_in(
    db: &Db,
    workspace_id: WorkspaceId,
    position: Option<(Timestamp, uuid::Uuid)>,
    limit: u64,
) -> Result<Vec<Comment>, DbError> {
    let mut statement = in_order(position, limit);
    statement.and_where(Expr::col("workspace_id").eq(id(workspace_id)));
    db.all(statement).await
}

/// In whatever workspace.
pub(crate) async fn list_of_author(
    db: &Db,
    author_id: UserId,
    position: Option<(Timestamp, uuid::Uuid)>,
    limit: u64,
) -> Result<Vec<Comment>, DbError> {
    let mut statement = in_order(position, limit);
    statement.and_where(Expr::col("author_id").eq(id(author_id)));
    db.all(statement).await
}

fn in_order(position: Option<(Timestamp, uuid::Uuid)>, limit: u64) -> SelectStatement {
    select()
        .cond_where(after(position))
        .order_by("created_at", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(limit)
        .take()
}

pub(crate) async fn find(db: &Db, comment_id: CommentId) -> Result<Option<Comment>, DbError> {
    let mut statement = select();
    statement.and_where(Expr::col("id").eq(id(comment_id)));
    db.opt(statement).await
}

pub(crate) fn insert(unit: &mut Unit, comment: &Comment) {
    let statement = Query::insert()
        .into_table("comments")
        .columns([
            "id",
            "workspace_id",
            "task_id",
            "author_id",
            "body",
            "version",
            "created_at",
            "updated_at",
            "edited_at",
        ])
        .values_panic([
            id(comment.id).into(),
            id(comment.workspace_id).into(),
            id(comment.task_id).into(),
            id_opt(comment.author_id).into(),
            comment.body.as_str().into(),
            comment.version.into(),
            micros(comment.created_at).into(),
            micros(comment.updated_at).into(),
            micros_opt(comment.edited_at).into(),
        ])
        .take();
    unit.insert(statement);
}

pub(crate) fn update(unit: &mut Unit, comment: &Comment, expected: i64) {
    let statement = Query::update()
        .table("comments")
        .value("body", comment.body.as_str())
        .value("version", comment.version)
        .value("updated_at", micros(comment.updated_at))
        .value("edited_at", micros_opt(comment.edited_at))
        .and_where(Expr::col("id").eq(id(comment.id)))
        .and_where(Expr::col("task_id").eq(id(comment.task_id)))
        .and_where(Expr::col("version").eq(expected))
        .take();
    unit.update_guarded(statement, Guard::VERSION);
}

pub(crate) fn delete(unit: &mut Unit, comment: &Comment) {
    let statement = Query::delete()
        .from_table("comments")
        .and_where(Expr::col("id").eq(id(comment.id)))
        .and_where(Expr::col("task_id").eq(id(comment.task_id)))
        .and_where(Expr::col("version").eq(comment.version))
        .take();
    unit.delete_guarded(statement, Guard::VERSION);
}
