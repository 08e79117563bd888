//! Rows of `tasks` and of `task_projects`, which hands out the numbers.

use kernel::Timestamp;
use kernel::ids::{ProjectId, TaskId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, OnConflict, Query, SelectStatement, SubQueryStatement};

use super::{id, id_opt, micros, micros_opt, padded};
use crate::model::{Due, Place, Priority, Task, due, terms};

/// In the order [`Task::from_row`] reads.
pub(crate) const COLUMNS: [&str; 25] = [
    "id",
    "workspace_id",
    "project_id",
    "number",
    "title",
    "description",
    "state_id",
    "status",
    "priority",
    "due_date",
    "due_at",
    "parent_id",
    "position",
    "creator_id",
    "comment_count",
    "subtask_count",
    "subtask_done_count",
    "version",
    "created_at",
    "updated_at",
    "completed_at",
    "archived_at",
    "deleted_at",
    "deleted_with",
    "recurrence_id",
];

pub(crate) const PARENT_GONE: Guard = Guard::conflict(
    "tasks.task.parent_gone",
    "The parent task was deleted or archived meanwhile; read it again.",
);

pub(crate) const TASK_READ_ONLY: Guard = Guard::conflict("tasks.task.read_only", "The task was deleted or archived meanwhile.");

pub(crate) const CHANGED_MEANWHILE: Guard = Guard::conflict(
    "tasks.task.hierarchy_changed",
    "The hierarchy of the tasks changed meanwhile; read it again and repeat your change.",
);

impl FromRow for Task {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let rank = row.get::<i32>(8)?;
        let date = row.get::<Option<String>>(9)?;
        let due = row.get::<Option<Timestamp>>(10)?.map(|at| Due {
            date: date.as_deref().and_then(due::parse_date),
            at,
        });
        Ok(Self {
            id: row.id(0)?,
            workspace_id: row.id(1)?,
            project_id: row.id(2)?,
            number: row.get(3)?,
            title: row.get(4)?,
            description: row.get(5)?,
            state_id: row.id(6)?,
            status: row.parse(7)?,
            priority: Priority::from_rank(rank).ok_or_else(|| DbError::Decode {
                column: 8,
                reason: format!("no priority has rank {rank}"),
            })?,
            due,
            parent_id: row.id_opt(11)?,
            position: row.get(12)?,
            creator_id: row.id_opt(13)?,
            comment_count: row.get(14)?,
            subtask_count: row.get(15)?,
            subtask_done_count: row.get(16)?,
            version: row.get(17)?,
            created_at: row.get(18)?,
            updated_at: row.get(19)?,
            completed_at: row.get(20)?,
            archived_at: row.get(21)?,
            deleted_at: row.get(22)?,
            deleted_with: row.id_opt(23)?,
            recurrence_id: row.id_opt(24)?,
            assignee_ids: Vec::new(),
            label_ids: Vec::new(),
        })
    }
}

/// Rows by id, without their links.
pub(crate) fn by_ids(ids: impl IntoIterator<Item = TaskId>) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from("tasks")
        .and_where(Expr::col("id").is_in(padded(ids)))
        .take()
}

/// Live or not.
pub(super) fn by_id(task_id: TaskId) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from("tasks")
        .and_where(Expr::col("id").eq(id(task_id)))
        .take()
}

pub(crate) async fn find(db: &Db, task_id: TaskId) -> Result<Option<Task>, DbError> {
    db.opt(by_id(task_id)).await
}

pub(crate) async fn list_by_ids(db: &Db, ids: &[TaskId]) -> Result<Vec<Task>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    db.all(by_ids(ids.iter().copied())).await
}

pub(crate) async fn find_by_number(db: &Db, project_id: ProjectId, number: i64) -> Result<Option<Task>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("tasks")
        .and_where(Expr::col("project_id").eq(id(project_id)))
        .and_where(Expr::col("number").eq(number))
        .take();
    db.opt(select).await
}

/// Tasks of a project by number, without their links; unknown numbers are left out.
pub(crate) async fn list_by_numbers(db: &Db, project_id: ProjectId, numbers: &[i64]) -> Result<Vec<Task>, DbError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let mut padded = numbers.to_vec();
    padded.resize(numbers.len().next_power_of_two(), numbers[0]);
    let select = Query::select()
        .columns(COLUMNS)
        .from("tasks")
        .and_where(Expr::col("project_id").eq(id(project_id)))
        .and_where(Expr::col("number").is_in(padded))
        .take();
    db.all(select).await
}

/// Where tasks stand in the tree, and what people call them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch {
    pub id: TaskId,
    pub number: i64,
    pub parent_id: Option<TaskId>,
}

impl FromRow for Branch {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            number: row.get(1)?,
            parent_id: row.id_opt(2)?,
        })
    }
}

pub(crate) async fn list_branches(db: &Db, project_id: ProjectId, ids: &[TaskId]) -> Result<Vec<Branch>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = Query::select()
        .columns(["id", "number", "parent_id"])
        .from("tasks")
        .and_where(Expr::col("project_id").eq(id(project_id)))
        .and_where(Expr::col("id").is_in(padded(ids.iter().copied())))
        .take();
    db.all(select).await
}

/// Direct sub-tasks of any of `parents`, deleted ones too; at most `limit`.
pub(crate) async fn list_children(db: &Db, parents: &[TaskId], limit: usize) -> Result<Vec<Task>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("tasks")
        .and_where(Expr::col("parent_id").is_in(padded(parents.iter().copied())))
        .limit(limit as u64)
        .take();
    db.all(select).await
}

/// Tasks whose deletion came with the deletion of `root`, `root` itself included.
pub(crate) async fn list_deleted_with(db: &Db, root: TaskId, limit: usize) -> Result<Vec<Task>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("tasks")
        .and_where(Expr::col("deleted_with").eq(id(root)))
        .limit(limit as u64)
        .take();
    db.all(select).await
}

/// Takes the project's next number and inserts the task with it. The row of `task_projects` is locked until the
/// unit commits, so numbers are given in commit order and none is given twice; a unit that fails gives its number back.
pub(crate) fn insert_numbered(unit: &mut Unit, task: &Task, project_key: &str) {
    let counter = Query::insert()
        .into_table("task_projects")
        .columns(["project_id", "workspace_id", "project_key", "last_number"])
        .values_panic([
            id(task.project_id).into(),
            id(task.workspace_id).into(),
            project_key.into(),
            1_i64.into(),
        ])
        .on_conflict(
            OnConflict::column("project_id")
                .value("last_number", Expr::col(("task_projects", "last_number")).add(1_i64))
                .to_owned(),
        )
        .take();
    unit.insert(counter);
    let number = Query::select()
        .column("last_number")
        .from("task_projects")
        .and_where(Expr::col("project_id").eq(id(task.project_id)))
        .take();
    let mut columns = vec![
        "id",
        "workspace_id",
        "project_id",
        "number",
        "creator_id",
        "comment_count",
        "subtask_count",
        "subtask_done_count",
    ];
    let mut values: Vec<Expr> = vec![
        id(task.id).into(),
        id(task.workspace_id).into(),
        id(task.project_id).into(),
        Expr::SubQuery(None, Box::new(SubQueryStatement::SelectStatement(number))),
        id_opt(task.creator_id).into(),
        0_i32.into(),
        0_i32.into(),
        0_i32.into(),
    ];
    columns.push("version");
    values.push(task.version.into());
    columns.push("created_at");
    values.push(micros(task.created_at).into());
    for (column, value) in mutable(task) {
        columns.push(column);
        values.push(value);
    }
    unit.insert(Query::insert().into_table("tasks").columns(columns).values_panic(values).take());
}

fn mutable(task: &Task) -> [(&'static str, Expr); 17] {
    let due_at = task.due.map(|due| due.at);
    [
        ("title", task.title.as_str().into()),
        ("title_sort", terms::title_sort(&task.title).into()),
        ("description", task.description.as_str().into()),
        ("state_id", id(task.state_id).into()),
        ("status", task.status.as_str().into()),
        ("priority", task.priority.rank().into()),
        ("due_date", task.due.and_then(|due| due.date).map(|date| date.to_string()).into()),
        ("due_at", micros_opt(due_at).into()),
        ("due_sort", due_at.map_or(i64::MAX, micros).into()),
        ("parent_id", id_opt(task.parent_id).into()),
        ("position", task.position.as_str().into()),
        ("updated_at", micros(task.updated_at).into()),
        ("completed_at", micros_opt(task.completed_at).into()),
        ("archived_at", micros_opt(task.archived_at).into()),
        ("deleted_at", micros_opt(task.deleted_at).into()),
        ("deleted_with", id_opt(task.deleted_with).into()),
        ("recurrence_id", id_opt(task.recurrence_id).into()),
    ]
}

/// Writes everything that can change, if the row still has `expected` as its version.
pub(crate) fn update(unit: &mut Unit, task: &Task, expected: i64) {
    let mut statement = Query::update();
    statement.table("tasks").value("version", task.version);
    for (column, value) in mutable(task) {
        statement.value(column, value);
    }
    statement
        .and_where(Expr::col("id").eq(id(task.id)))
        .and_where(Expr::col("workspace_id").eq(id(task.workspace_id)))
        .and_where(Expr::col("version").eq(expected));
    unit.update_guarded(statement, Guard::VERSION);
}

/// Adjusts what a task counts. With a `guard` the task must be neither deleted nor archived.
pub(crate) struct Counts {
    pub comments: i32,
    pub subtasks: i32,
    pub done: i32,
}

pub(crate) fn adjust_counts(unit: &mut Unit, task_id: TaskId, counts: &Counts, now: Timestamp, guard: Option<Guard>) {
    let mut statement = Query::update();
    statement
        .table("tasks")
        .value("comment_count", Expr::col("comment_count").add(counts.comments))
        .value("subtask_count", Expr::col("subtask_count").add(counts.subtasks))
        .value("subtask_done_count", Expr::col("subtask_done_count").add(counts.done))
        .value("version", Expr::col("version").add(1_i64))
        .value("updated_at", micros(now))
        .and_where(Expr::col("id").eq(id(task_id)));
    match guard {
        Some(guard) => {
            statement
                .and_where(Expr::col("deleted_at").is_null())
                .and_where(Expr::col("archived_at").is_null());
            unit.update_guarded(statement, guard);
        }
        None => unit.update(statement),
    }
}

/// The unit fails unless the row still has this version.
pub(crate) fn require_version(unit: &mut Unit, task_id: TaskId, version: i64) {
    let select = Query::select()
        .column("id")
        .from("tasks")
        .and_where(Expr::col("id").eq(id(task_id)))
        .and_where(Expr::col("version").eq(version))
        .take();
    unit.require(select, CHANGED_MEANWHILE);
}

/// The unit fails unless the task still lies where it did.
pub(crate) fn require_parent(unit: &mut Unit, task_id: TaskId, parent_id: Option<TaskId>) {
    let parent = Expr::col("parent_id");
    let select = Query::select()
        .column("id")
        .from("tasks")
        .and_where(Expr::col("id").eq(id(task_id)))
        .and_where(match parent_id {
            Some(parent_id) => parent.eq(id(parent_id)),
            None => parent.is_null(),
        })
        .take();
    unit.require(select, CHANGED_MEANWHILE);
}

/// Which reminder of a task was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reminder {
    Soon,
    Overdue,
}

/// Notes that a reminder for this due moment is announced. The unit fails when it was before, or when the task is no
/// longer open or due then. `version` stays: nobody sees these columns.
pub(crate) fn mark_reminded(unit: &mut Unit, task_id: TaskId, reminder: Reminder, due_at: Timestamp, guard: Guard) {
    let column = match reminder {
        Reminder::Soon => "soon_sent_for",
        Reminder::Overdue => "overdue_sent_for",
    };
    let statement = Query::update()
        .table("tasks")
        .value(column, micros(due_at))
        .and_where(Expr::col("id").eq(id(task_id)))
        .and_where(Expr::col("due_at").eq(micros(due_at)))
        .and_where(Expr::col("deleted_at").is_null())
        .and_where(Expr::col("archived_at").is_null())
        .and_where(Expr::col("status").is_in(["open", "in_progress"]))
        .and_where(Expr::col(column).is_null().or(Expr::col(column).ne(micros(due_at))))
        .take();
    unit.update_guarded(statement, guard);
}

/// The neighbour on a board: the closest place beyond `beyond` in the column, or its end.
pub(crate) async fn next_place(db: &Db, scope: &BoardScope, beyond: Option<&Place>, upwards: bool) -> Result<Option<Place>, DbError> {
    let mut select = Query::select();
    select
        .columns(["position", "id"])
        .from("tasks")
        .and_where(Expr::col("project_id").eq(id(scope.project_id)))
        .and_where(Expr::col("state_id").eq(id(scope.state_id)))
        .and_where(Expr::col("id").ne(id(scope.moving)))
        .and_where(Expr::col("deleted_at").is_null())
        .limit(1);
    if let Some(beyond) = beyond {
        let (position, task) = (|| Expr::col("position"), || Expr::col("id"));
        let (near, far, same) = if upwards {
            (
                position().gte(beyond.position()),
                position().gt(beyond.position()),
                task().gt(id(beyond.id())),
            )
        } else {
            (
                position().lte(beyond.position()),
                position().lt(beyond.position()),
                task().lt(id(beyond.id())),
            )
        };
        // The first condition is implied by the second; it is the one an index can start from.
        select.and_where(near).and_where(far.or(same));
    }
    let order = if upwards { sea_query::Order::Asc } else { sea_query::Order::Desc };
    select.order_by("position", order.clone()).order_by("id", order);
    db.opt(select).await
}

/// Live tasks of the project that share the position of `lower` and come behind it, in their order, without the one that
/// moves; at most `limit`.
pub(crate) async fn list_at_position(db: &Db, moving: &Task, lower: &Place, limit: usize) -> Result<Vec<Task>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from("tasks")
        .and_where(Expr::col("project_id").eq(id(moving.project_id)))
        .and_where(Expr::col("position").eq(lower.position()))
        .and_where(Expr::col("id").gt(id(lower.id())))
        .and_where(Expr::col("id").ne(id(moving.id)))
        .and_where(Expr::col("deleted_at").is_null())
        .order_by("id", sea_query::Order::Asc)
        .limit(limit as u64)
        .take();
    db.all(select).await
}

/// The closest position beyond `position` in the whole project.
pub(crate) async fn next_position(db: &Db, project_id: ProjectId, position: &str) -> Result<Option<String>, DbError> {
    let select = Query::select()
        .column("position")
        .from("tasks")
        .and_where(Expr::col("project_id").eq(id(project_id)))
        .and_where(Expr::col("position").gt(position))
        .order_by("position", sea_query::Order::Asc)
        .limit(1)
        .take();
    Ok(db.opt::<TextRow>(select).await?.map(|row| row.0))
}

impl FromRow for Place {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self::new(row.get(0)?, row.id(1)?))
    }
}

/// One column of a project's board, without the task that moves.
pub(crate) struct BoardScope {
    pub project_id: ProjectId,
    pub state_id: crate::model::StateId,
    pub moving: TaskId,
}

/// A single text.
#[derive(Debug)]
pub(crate) struct TextRow(pub String);

impl FromRow for TextRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0).map(Self)
    }
}

/// Project keys for calls that come without a person: as they were when the last task was created or the project changed.
pub(crate) async fn list_project_keys(db: &Db, ids: &[ProjectId]) -> Result<Vec<(ProjectId, String)>, DbError> {
    struct KeyRow(ProjectId, String);
    impl FromRow for KeyRow {
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            Ok(Self(row.id(0)?, row.get(1)?))
        }
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = Query::select()
        .columns(["project_id", "project_key"])
        .from("task_projects")
        .and_where(Expr::col("project_id").is_in(padded(ids.iter().copied())))
        .take();
    Ok(db.all::<KeyRow>(select).await?.into_iter().map(|row| (row.0, row.1)).collect())
}

pub(crate) fn rename_project_key(unit: &mut Unit, workspace_id: WorkspaceId, project_id: ProjectId, key: &str) {
    let statement = Query::update()
        .table("task_projects")
        .value("project_key", key)
        .and_where(Expr::col("project_id").eq(id(project_id)))
        .and_where(Expr::col("workspace_id").eq(id(workspace_id)))
        .take();
    unit.update(statement);
}
