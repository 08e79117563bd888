//! The inverted index of the full-text search.

use std::collections::BTreeSet;

use kernel::ids::TaskId;
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Expr, ExprTrait, OnConflict, Query, Value};

use super::{id, padded};
use crate::model::Task;

/// Rows per INSERT: well below every engine's limit of bound values.
const CHUNK: usize = 250;

/// The terms these tasks are found by.
pub(crate) async fn list(db: &Db, tasks: &[TaskId]) -> Result<Vec<(TaskId, String)>, DbError> {
    struct TermRow(TaskId, String);
    impl FromRow for TermRow {
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            Ok(Self(row.id(0)?, row.get(1)?))
        }
    }
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let select = Query::select()
        .columns(["task_id", "term"])
        .from("task_terms")
        .and_where(Expr::col("task_id").is_in(padded(tasks.iter().copied())))
        .take();
    Ok(db.all::<TermRow>(select).await?.into_iter().map(|row| (row.0, row.1)).collect())
}

pub(crate) fn add(unit: &mut Unit, task: &Task, terms: &BTreeSet<String>) {
    let terms: Vec<&String> = terms.iter().collect();
    for chunk in terms.chunks(CHUNK) {
        let mut insert = Query::insert();
        insert.into_table("task_terms").columns(["workspace_id", "term", "task_id"]);
        for term in chunk {
            insert.values_panic([id(task.workspace_id).into(), term.as_str().into(), id(task.id).into()]);
        }
        insert.on_conflict(
            OnConflict::columns(["workspace_id", "term", "task_id"])
                .do_nothing_on(["workspace_id", "term", "task_id"])
                .to_owned(),
        );
        unit.insert(insert);
    }
}

pub(crate) fn remove(unit: &mut Unit, task: &Task, terms: &BTreeSet<String>) {
    let terms: Vec<&String> = terms.iter().collect();
    for chunk in terms.chunks(CHUNK) {
        let mut values: Vec<Value> = chunk.iter().map(|term| term.as_str().into()).collect();
        if let Some(last) = values.last().cloned() {
            values.resize(values.len().next_power_of_two(), last);
        }
        let delete = Query::delete()
            .from_table("task_terms")
            .and_where(Expr::col("workspace_id").eq(id(task.workspace_id)))
            .and_where(Expr::col("term").is_in(values))
            .and_where(Expr::col("task_id").eq(id(task.id)))
            .take();
        unit.delete(delete);
    }
}
