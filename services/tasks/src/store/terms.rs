//! The inverted index of the full-text search.

use std::collections::BTreeSet;

use platform::db::Unit;
use sea_query::{Expr, ExprTrait, OnConflict, Query, Value};

use super::id;
use crate::model::Task;

/// Rows per INSERT: well below every engine's limit of bound values.
const CHUNK: usize = 250;

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
