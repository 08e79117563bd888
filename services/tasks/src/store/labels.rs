//! Labels of a workspace.

use kernel::Timestamp;
use kernel::ids::WorkspaceId;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use super::{id, micros, padded};
use crate::model::{Label, LabelId};

impl FromRow for Label {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            workspace_id: row.id(1)?,
            name: row.get(2)?,
            name_folded: row.get(3)?,
            color: row.get(4)?,
            version: row.get(5)?,
            created_at: row.get(6)?,
            updated_at: row.get(7)?,
        })
    }
}

const COLUMNS: [&str; 8] = [
    "id",
    "workspace_id",
    "name",
    "name_folded",
    "color",
    "version",
    "created_at",
    "updated_at",
];

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from("labels").take()
}

/// A page in the order of the folded name, from after `after`.
pub(crate) async fn list(db: &Db, workspace_id: WorkspaceId, after: Option<&str>, limit: u64) -> Result<Vec<Label>, DbError> {
    let mut statement = select();
    statement
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where_option(after.map(|name| Expr::col("name_folded").gt(name)))
        .order_by("name_folded", Order::Asc)
        .limit(limit);
    db.all(statement).await
}

pub(crate) async fn count(db: &Db, workspace_id: WorkspaceId) -> Result<i64, DbError> {
    let select = Query::select()
        .expr(Expr::col("id").count())
        .from("labels")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .take();
    Ok(db.one::<super::Count>(select).await?.0)
}

pub(crate) async fn find(db: &Db, workspace_id: WorkspaceId, label_id: LabelId) -> Result<Option<Label>, DbError> {
    let mut statement = select();
    statement
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("id").eq(id(label_id)));
    db.opt(statement).await
}

pub(crate) async fn list_by_ids(db: &Db, ids: &[LabelId]) -> Result<Vec<Label>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = select();
    statement.and_where(Expr::col("id").is_in(padded(ids.iter().copied())));
    db.all(statement).await
}

pub(crate) fn insert(unit: &mut Unit, label: &Label) {
    let statement = Query::insert()
        .into_table("labels")
        .columns(COLUMNS)
        .values_panic([
            id(label.id).into(),
            id(label.workspace_id).into(),
            label.name.as_str().into(),
            label.name_folded.as_str().into(),
            label.color.as_str().into(),
            label.version.into(),
            micros(label.created_at).into(),
            micros(label.updated_at).into(),
        ])
        .take();
    unit.insert(statement);
}

pub(crate) fn update(unit: &mut Unit, label: &Label, expected: i64) {
    let statement = Query::update()
        .table("labels")
        .value("name", label.name.as_str())
        .value("name_folded", label.name_folded.as_str())
        .value("color", label.color.as_str())
        .value("version", label.version)
        .value("updated_at", micros(label.updated_at))
        .and_where(Expr::col("id").eq(id(label.id)))
        .and_where(Expr::col("workspace_id").eq(id(label.workspace_id)))
        .and_where(Expr::col("version").eq(expected))
        .take();
    unit.update_guarded(statement, Guard::VERSION);
}

/// Takes the label off every task that has it, so that their versions tell of the change, then deletes it.
pub(crate) fn delete(unit: &mut Unit, label: &Label, now: Timestamp) {
    let labelled = Query::select()
        .column("task_id")
        .from("task_labels")
        .and_where(Expr::col("label_id").eq(id(label.id)))
        .take();
    let touch = Query::update()
        .table("tasks")
        .value("version", Expr::col("version").add(1_i64))
        .value("updated_at", micros(now))
        .and_where(Expr::col("workspace_id").eq(id(label.workspace_id)))
        .and_where(Expr::col("id").in_subquery(labelled))
        .take();
    unit.update(touch);
    let statement = Query::delete()
        .from_table("labels")
        .and_where(Expr::col("id").eq(id(label.id)))
        .and_where(Expr::col("workspace_id").eq(id(label.workspace_id)))
        .and_where(Expr::col("version").eq(label.version))
        .take();
    unit.delete_guarded(statement, Guard::VERSION);
}
