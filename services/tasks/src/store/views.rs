//! Saved views.

use kernel::Timestamp;
use kernel::ids::{EntityId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use super::{Count, id, id_opt, micros};
use crate::model::saved::{SavedView, ViewId};

impl FromRow for SavedView {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            workspace_id: row.id(1)?,
            project_id: row.id_opt(2)?,
            owner_id: row.id(3)?,
            shared: row.get(4)?,
            name: row.get(5)?,
            query: row.get(6)?,
            position: row.get(7)?,
            is_default: row.get::<Option<String>>(8)?.is_some(),
            version: row.get(9)?,
            created_at: row.get(10)?,
            updated_at: row.get(11)?,
        })
    }
}

const COLUMNS: [&str; 12] = [
    "id",
    "workspace_id",
    "project_id",
    "owner_id",
    "shared",
    "name",
    "query",
    "position",
    "default_for",
    "version",
    "created_at",
    "updated_at",
];

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from("task_views").take()
}

/// A person's own views of a workspace and the shared ones, in their order.
pub(crate) async fn list(db: &Db, workspace_id: WorkspaceId, user_id: UserId, limit: u64) -> Result<Vec<SavedView>, DbError> {
    let mut select = select();
    select
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("shared").eq(true).or(Expr::col("owner_id").eq(id(user_id))))
        .order_by("position", Order::Asc)
        .order_by("name", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(limit);
    db.all(select).await
}

pub(crate) async fn find(db: &Db, workspace_id: WorkspaceId, view_id: ViewId) -> Result<Option<SavedView>, DbError> {
    let mut select = select();
    select
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("id").eq(id(view_id)));
    db.opt(select).await
}

/// How many views are shared in a workspace, or how many a person has there alone.
pub(crate) async fn count(db: &Db, workspace_id: WorkspaceId, personal_of: Option<UserId>) -> Result<i64, DbError> {
    let select = Query::select()
        .expr(Expr::col("id").count())
        .from("task_views")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("shared").eq(personal_of.is_none()))
        .and_where_option(personal_of.map(|user_id| Expr::col("owner_id").eq(id(user_id))))
        .take();
    Ok(db.one::<Count>(select).await?.0)
}

/// Whose default a view is, as a text that is unique: there is one for each. `None`, which any number of rows may have,
/// where it is nobody's.
fn default_for(view: &SavedView) -> Option<String> {
    view.is_default.then(|| view.default_of())
}

pub(crate) fn insert(unit: &mut Unit, view: &SavedView) {
    let insert = Query::insert()
        .into_table("task_views")
        .columns(COLUMNS)
        .values_panic([
            id(view.id).into(),
            id(view.workspace_id).into(),
            id_opt(view.project_id).into(),
            id(view.owner_id).into(),
            view.shared.into(),
            view.name.as_str().into(),
            view.query.as_str().into(),
            view.position.into(),
            default_for(view).into(),
            view.version.into(),
            micros(view.created_at).into(),
            micros(view.updated_at).into(),
        ])
        .take();
    unit.insert(insert);
}

pub(crate) fn update(unit: &mut Unit, view: &SavedView, expected: i64) {
    let update = Query::update()
        .table("task_views")
        .value("shared", view.shared)
        .value("name", view.name.as_str())
        .value("query", view.query.as_str())
        .value("position", view.position)
        .value("default_for", default_for(view))
        .value("version", view.version)
        .value("updated_at", micros(view.updated_at))
        .and_where(Expr::col("workspace_id").eq(id(view.workspace_id)))
        .and_where(Expr::col("id").eq(id(view.id)))
        .and_where(Expr::col("version").eq(expected))
        .take();
    unit.update_guarded(update, Guard::VERSION);
}

/// Takes the mark from the view that was the default where `view` becomes it. Before that is written.
pub(crate) fn clear_default(unit: &mut Unit, view: &SavedView, now: Timestamp) {
    let update = Query::update()
        .table("task_views")
        .value("default_for", None::<String>)
        .value("version", Expr::col("version").add(1_i64))
        .value("updated_at", micros(now))
        .and_where(Expr::col("default_for").eq(view.default_of()))
        .and_where(Expr::col("id").ne(view.id.uuid()))
        .take();
    unit.update(update);
}

pub(crate) fn delete(unit: &mut Unit, view: &SavedView) {
    let delete = Query::delete()
        .from_table("task_views")
        .and_where(Expr::col("workspace_id").eq(id(view.workspace_id)))
        .and_where(Expr::col("id").eq(id(view.id)))
        .and_where(Expr::col("version").eq(view.version))
        .take();
    unit.delete_guarded(delete, Guard::VERSION);
}
