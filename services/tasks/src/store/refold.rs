//! Rows whose folded texts come from an older rule, see `task_refold` in the migrations.

use platform::db::{Db, DbError, Guard, Unit};
use sea_query::{Expr, ExprTrait, Order, Query};
use uuid::Uuid;

use super::{IdRow, id, padded};
use crate::model::{Label, State, Task, terms};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Task,
    Label,
    State,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Label => "label",
            Self::State => "state",
        }
    }
}

pub(crate) async fn list(db: &Db, kind: Kind, limit: u64) -> Result<Vec<Uuid>, DbError> {
    let select = Query::select()
        .column("id")
        .from("task_refold")
        .and_where(Expr::col("kind").eq(kind.as_str()))
        .order_by("id", Order::Asc)
        .limit(limit)
        .take();
    Ok(db.all::<IdRow>(select).await?.into_iter().map(|row| row.0).collect())
}

/// These rows are folded by the present rule.
pub(crate) fn done(unit: &mut Unit, kind: Kind, ids: &[Uuid]) {
    let mut values: Vec<sea_query::Value> = ids.iter().map(|id| (*id).into()).collect();
    let Some(last) = values.last().cloned() else { return };
    values.resize(values.len().next_power_of_two(), last);
    let delete = Query::delete()
        .from_table("task_refold")
        .and_where(Expr::col("kind").eq(kind.as_str()))
        .and_where(Expr::col("id").is_in(values))
        .take();
    unit.delete(delete);
}

/// The unit fails when the task was changed meanwhile. Its version stays: nobody sees this column.
pub(crate) fn write_title(unit: &mut Unit, task: &Task) {
    let update = Query::update()
        .table("tasks")
        .value("title_sort", terms::title_sort(&task.title))
        .and_where(Expr::col("id").eq(id(task.id)))
        .and_where(Expr::col("version").eq(task.version))
        .take();
    unit.update_guarded(update, Guard::VERSION);
}

/// Unless it was renamed meanwhile, which folded it.
pub(crate) fn write_label(unit: &mut Unit, label: &Label) {
    write_name(unit, "labels", id(label.id), &label.name);
}

/// Unless it was renamed meanwhile, which folded it.
pub(crate) fn write_state(unit: &mut Unit, state: &State) {
    write_name(unit, "task_states", id(state.id), &state.name);
}

fn write_name(unit: &mut Unit, table: &'static str, row: Uuid, name: &str) {
    let update = Query::update()
        .table(table)
        .value("name_folded", terms::folded_name(name))
        .and_where(Expr::col("id").eq(row))
        .and_where(Expr::col("name").eq(name))
        .take();
    unit.update(update);
}

/// States by id, of whichever workspace.
pub(crate) async fn list_states(db: &Db, ids: &[crate::model::StateId]) -> Result<Vec<State>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = super::states::select();
    select.and_where(Expr::col("id").is_in(padded(ids.iter().copied())));
    db.all(select).await
}
