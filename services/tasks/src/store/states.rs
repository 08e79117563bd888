//! Workflow states and the marker that a workspace has its defaults.

use kernel::Timestamp;
use kernel::ids::WorkspaceId;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement, UpdateStatement};

use super::{id, micros};
use crate::model::{MAX_STATES, State, StateId, terms};

impl FromRow for State {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            workspace_id: row.id(1)?,
            name: row.get(2)?,
            status: row.parse(3)?,
            position: row.get(4)?,
            is_default: row.get::<Option<bool>>(5)?.unwrap_or(false),
            version: row.get(6)?,
            created_at: row.get(7)?,
            updated_at: row.get(8)?,
        })
    }
}

pub(super) fn select() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "workspace_id",
            "name",
            "status",
            "position",
            "is_default",
            "version",
            "created_at",
            "updated_at",
        ])
        .from("task_states")
        .take()
}

/// All states of a workspace in board order.
pub(crate) async fn list(db: &Db, workspace_id: WorkspaceId) -> Result<Vec<State>, DbError> {
    let mut select = select();
    select
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .order_by("position", Order::Asc)
        .order_by("name", Order::Asc)
        .limit(MAX_STATES as u64 + 1);
    db.all(select).await
}

/// Claims the seeding of a workspace; a second claim violates the primary key.
pub(crate) fn mark_seeded(unit: &mut Unit, workspace_id: WorkspaceId, now: Timestamp) {
    let insert = Query::insert()
        .into_table("task_workspaces")
        .columns(["workspace_id", "seeded_at"])
        .values_panic([id(workspace_id).into(), micros(now).into()])
        .take();
    unit.insert(insert);
}

/// TRUE or NULL, never FALSE: see the migration.
fn default_marker(is_default: bool) -> Option<bool> {
    is_default.then_some(true)
}

pub(crate) fn insert(unit: &mut Unit, state: &State) {
    let statement = Query::insert()
        .into_table("task_states")
        .columns([
            "id",
            "workspace_id",
            "name",
            "name_folded",
            "status",
            "position",
            "is_default",
            "version",
            "created_at",
            "updated_at",
        ])
        .values_panic([
            id(state.id).into(),
            id(state.workspace_id).into(),
            state.name.as_str().into(),
            terms::folded_name(&state.name).into(),
            state.status.as_str().into(),
            state.position.into(),
            default_marker(state.is_default).into(),
            state.version.into(),
            micros(state.created_at).into(),
            micros(state.updated_at).into(),
        ])
        .take();
    unit.insert(statement);
}

pub(crate) fn update(unit: &mut Unit, state: &State, expected: i64) {
    let statement: UpdateStatement = Query::update()
        .table("task_states")
        .value("name", state.name.as_str())
        .value("name_folded", terms::folded_name(&state.name))
        .value("position", state.position)
        .value("is_default", default_marker(state.is_default))
        .value("version", state.version)
        .value("updated_at", micros(state.updated_at))
        .and_where(Expr::col("id").eq(id(state.id)))
        .and_where(Expr::col("workspace_id").eq(id(state.workspace_id)))
        .and_where(Expr::col("version").eq(expected))
        .take();
    unit.update_guarded(statement, Guard::VERSION);
}

/// Takes the default mark from whichever other state has it. Before the new default is written: one default at a time.
pub(crate) fn clear_default(unit: &mut Unit, workspace_id: WorkspaceId, except: StateId, now: Timestamp) {
    let statement = Query::update()
        .table("task_states")
        .value("is_default", None::<bool>)
        .value("version", Expr::col("version").add(1_i64))
        .value("updated_at", micros(now))
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where(Expr::col("is_default").eq(true))
        .and_where(Expr::col("id").ne(id(except)))
        .take();
    unit.update(statement);
}

/// Fails as a foreign key violation while tasks are in the state.
pub(crate) fn delete(unit: &mut Unit, state: &State) {
    let statement = Query::delete()
        .from_table("task_states")
        .and_where(Expr::col("id").eq(id(state.id)))
        .and_where(Expr::col("workspace_id").eq(id(state.workspace_id)))
        .and_where(Expr::col("version").eq(state.version))
        .take();
    unit.delete_guarded(statement, Guard::VERSION);
}

/// The unit fails unless another state of this meaning remains.
pub(crate) fn require_another(unit: &mut Unit, state: &State, guard: Guard) {
    let select = Query::select()
        .column("id")
        .from("task_states")
        .and_where(Expr::col("workspace_id").eq(id(state.workspace_id)))
        .and_where(Expr::col("status").eq(state.status.as_str()))
        .and_where(Expr::col("id").ne(id(state.id)))
        .take();
    unit.require(select, guard);
}
