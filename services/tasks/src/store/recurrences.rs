//! Series of recurring tasks.

use jiff::civil::{Date, Time};
use kernel::ids::WorkspaceId;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query};

use super::{id, id_opt, micros, micros_opt};
use crate::model::recurrence::{Recurrence, RecurrenceId};

const COLUMNS: [&str; 15] = [
    "id",
    "workspace_id",
    "project_id",
    "task_id",
    "rule",
    "trigger_kind",
    "time_zone",
    "first_date",
    "time_of_day",
    "current_date_on",
    "creator_id",
    "ended_at",
    "version",
    "created_at",
    "updated_at",
];

impl FromRow for Recurrence {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let date = |index: usize| row.get::<String>(index)?.parse::<Date>().map_err(|error| unreadable(index, &error));
        let time = row.get::<Option<String>>(8)?;
        Ok(Self {
            id: row.id(0)?,
            workspace_id: row.id(1)?,
            project_id: row.id(2)?,
            task_id: row.id(3)?,
            rule: row.get(4)?,
            trigger: row.parse(5)?,
            time_zone: row.get(6)?,
            first: date(7)?,
            time: time
                .map(|text| text.parse::<Time>().map_err(|error| unreadable(8, &error)))
                .transpose()?,
            current: date(9)?,
            creator_id: row.id_opt(10)?,
            ended_at: row.get(11)?,
            version: row.get(12)?,
            created_at: row.get(13)?,
            updated_at: row.get(14)?,
        })
    }
}

fn unreadable(column: usize, error: &jiff::Error) -> DbError {
    DbError::Decode {
        column,
        reason: error.to_string(),
    }
}

pub(crate) async fn find(db: &Db, recurrence_id: RecurrenceId) -> Result<Option<Recurrence>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("task_recurrences")
        .and_where(Expr::col("id").eq(id(recurrence_id)))
        .take();
    db.opt(select).await
}

/// Of a whole workspace, by id.
pub(crate) async fn list_in(db: &Db, workspace_id: WorkspaceId, after: Option<uuid::Uuid>, limit: u64) -> Result<Vec<Recurrence>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("task_recurrences")
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .and_where_option(after.map(|last| Expr::col("id").gt(last)))
        .order_by("id", Order::Asc)
        .limit(limit)
        .take();
    db.all(select).await
}

pub(crate) fn insert(unit: &mut Unit, series: &Recurrence) {
    let insert = Query::insert()
        .into_table("task_recurrences")
        .columns(COLUMNS)
        .values_panic([
            id(series.id).into(),
            id(series.workspace_id).into(),
            id(series.project_id).into(),
            id(series.task_id).into(),
            series.rule.as_str().into(),
            series.trigger.as_str().into(),
            series.time_zone.as_str().into(),
            series.first.to_string().into(),
            series.time.map(|time| time.to_string()).into(),
            series.current.to_string().into(),
            id_opt(series.creator_id).into(),
            micros_opt(series.ended_at).into(),
            series.version.into(),
            micros(series.created_at).into(),
            micros(series.updated_at).into(),
        ])
        .take();
    unit.insert(insert);
}

/// Writes all that can change, if the row still has `expected` as its version: whoever comes second makes no second task.
pub(crate) fn update(unit: &mut Unit, series: &Recurrence, expected: i64, guard: Guard) {
    let update = Query::update()
        .table("task_recurrences")
        .value("task_id", id(series.task_id))
        .value("rule", series.rule.as_str())
        .value("trigger_kind", series.trigger.as_str())
        .value("time_zone", series.time_zone.as_str())
        .value("first_date", series.first.to_string())
        .value("time_of_day", series.time.map(|time| time.to_string()))
        .value("current_date_on", series.current.to_string())
        .value("ended_at", micros_opt(series.ended_at))
        .value("version", series.version)
        .value("updated_at", micros(series.updated_at))
        .and_where(Expr::col("workspace_id").eq(id(series.workspace_id)))
        .and_where(Expr::col("id").eq(id(series.id)))
        .and_where(Expr::col("version").eq(expected))
        .take();
    unit.update_guarded(update, guard);
}
