//! The history of a task.

use kernel::Timestamp;
use kernel::ids::{TaskId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Condition, Expr, ExprTrait, Order, Query};
use serde_json::Value;

use super::{id, id_opt, micros};
use crate::model::ActivityId;

/// One line: who changed what, from which value to which.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Activity {
    pub id: ActivityId,
    pub workspace_id: WorkspaceId,
    pub task_id: TaskId,
    pub actor_id: Option<UserId>,
    pub kind: String,
    pub field: Option<String>,
    pub old: Value,
    pub new: Value,
    pub created_at: Timestamp,
}

impl FromRow for Activity {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let json = |index: usize| -> Result<Value, DbError> {
            row.get::<Option<String>>(index)?.map_or(Ok(Value::Null), |text| {
                serde_json::from_str(&text).map_err(|error| DbError::Decode {
                    column: index,
                    reason: error.to_string(),
                })
            })
        };
        Ok(Self {
            id: row.id(0)?,
            workspace_id: row.id(1)?,
            task_id: row.id(2)?,
            actor_id: row.id_opt(3)?,
            kind: row.get(4)?,
            field: row.get(5)?,
            old: json(6)?,
            new: json(7)?,
            created_at: row.get(8)?,
        })
    }
}

const COLUMNS: [&str; 9] = [
    "id",
    "workspace_id",
    "task_id",
    "actor_id",
    "kind",
    "field",
    "old_value",
    "new_value",
    "created_at",
];

/// Newest first.
pub(crate) async fn list(db: &Db, task_id: TaskId, before: Option<(Timestamp, uuid::Uuid)>, limit: u64) -> Result<Vec<Activity>, DbError> {
    let beyond = before.map_or_else(Condition::all, |(at, last)| {
        Condition::any()
            .add(Expr::col("created_at").lt(micros(at)))
            .add(Expr::col("created_at").eq(micros(at)).and(Expr::col("id").lt(last)))
    });
    let select = Query::select()
        .columns(COLUMNS)
        .from("task_activity")
        .and_where(Expr::col("task_id").eq(id(task_id)))
        .cond_where(beyond)
        .order_by("created_at", Order::Desc)
        .order_by("id", Order::Desc)
        .limit(limit)
        .take();
    db.all(select).await
}

/// Of a whole workspace, oldest first.
pub(crate) async fn list_in(
    db: &Db,
    workspace_id: WorkspaceId,
    position: Option<(Timestamp, uuid::Uuid)>,
    limit: u64,
) -> Result<Vec<Activity>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("task_activity")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .cond_where(super::comments::after(position))
        .order_by("created_at", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(limit)
        .take();
    db.all(select).await
}

pub(crate) fn insert(unit: &mut Unit, lines: &[Activity]) {
    if lines.is_empty() {
        return;
    }
    let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
    let mut insert = Query::insert();
    insert.into_table("task_activity").columns(COLUMNS);
    for line in lines {
        insert.values_panic([
            id(line.id).into(),
            id(line.workspace_id).into(),
            id(line.task_id).into(),
            id_opt(line.actor_id).into(),
            line.kind.as_str().into(),
            line.field.as_deref().into(),
            text(&line.old).into(),
            text(&line.new).into(),
            micros(line.created_at).into(),
        ]);
    }
    unit.insert(insert);
}
