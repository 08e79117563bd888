//! Assignees and labels of tasks.

use std::collections::HashMap;

use kernel::Timestamp;
use kernel::ids::{ProjectId, TaskId, UserId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Output, Reads, Row, Slot, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use uuid::Uuid;

use super::{id, micros, padded};
use crate::model::{LabelId, Task};

struct Link<T>(TaskId, T);

impl<T: kernel::ids::EntityId> FromRow for Link<T> {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self(row.id(0)?, row.id(1)?))
    }
}

/// Where the links of some tasks will be found.
struct Links {
    assignees: Slot<Link<UserId>>,
    labels: Slot<Link<LabelId>>,
}

impl Links {
    /// Two statements, however many tasks.
    fn of(reads: &mut Reads, tasks: impl Iterator<Item = TaskId> + Clone) -> Self {
        let assignees = Query::select()
            .columns(["task_id", "user_id"])
            .from("task_assignees")
            .and_where(Expr::col("task_id").is_in(padded(tasks.clone())))
            .take();
        let labels = Query::select()
            .columns(["task_id", "label_id"])
            .from("task_labels")
            .and_where(Expr::col("task_id").is_in(padded(tasks)))
            .take();
        Self {
            assignees: reads.add(assignees),
            labels: reads.add(labels),
        }
    }

    fn attach(&self, found: &mut Output, tasks: &mut [Task]) {
        let mut assignees = grouped(found.take(&self.assignees));
        let mut labels = grouped(found.take(&self.labels));
        for task in tasks {
            task.assignee_ids = assignees.remove(&task.id).unwrap_or_default();
            task.label_ids = labels.remove(&task.id).unwrap_or_default();
        }
    }
}

/// Fills in assignees and labels.
pub(crate) async fn attach(db: &Db, tasks: &mut [Task]) -> Result<(), DbError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let mut reads = Reads::default();
    let links = Links::of(&mut reads, tasks.iter().map(|task| task.id));
    links.attach(&mut db.read(reads).await?, tasks);
    Ok(())
}

/// A task with its assignees and labels, in one go.
pub(crate) async fn find_whole(db: &Db, task_id: TaskId) -> Result<Option<Task>, DbError> {
    let mut reads = Reads::default();
    let task = reads.add::<Task>(super::tasks::by_id(task_id));
    let links = Links::of(&mut reads, std::iter::once(task_id));
    let mut found = db.read(reads).await?;
    let mut tasks = found.take(&task);
    links.attach(&mut found, &mut tasks);
    Ok(tasks.pop())
}

fn grouped<T: Ord>(links: Vec<Link<T>>) -> HashMap<TaskId, Vec<T>> {
    let mut by_task: HashMap<TaskId, Vec<T>> = HashMap::new();
    for Link(task_id, value) in links {
        by_task.entry(task_id).or_default().push(value);
    }
    // Sorted here: engines need not agree on an order nobody asked them for.
    for values in by_task.values_mut() {
        values.sort_unstable();
    }
    by_task
}

pub(crate) fn assign(unit: &mut Unit, task: &Task, users: &[UserId], now: Timestamp) {
    if users.is_empty() {
        return;
    }
    let mut insert = Query::insert();
    insert
        .into_table("task_assignees")
        .columns(["task_id", "user_id", "workspace_id", "assigned_at"]);
    for user in users {
        insert.values_panic([
            id(task.id).into(),
            id(*user).into(),
            id(task.workspace_id).into(),
            micros(now).into(),
        ]);
    }
    unit.insert(insert);
}

pub(crate) fn unassign(unit: &mut Unit, task_id: TaskId, users: &[UserId]) {
    if users.is_empty() {
        return;
    }
    let delete = Query::delete()
        .from_table("task_assignees")
        .and_where(Expr::col("task_id").eq(id(task_id)))
        .and_where(Expr::col("user_id").is_in(padded(users.iter().copied())))
        .take();
    unit.delete(delete);
}

pub(crate) fn add_labels(unit: &mut Unit, task_id: TaskId, labels: &[LabelId]) {
    if labels.is_empty() {
        return;
    }
    let mut insert = Query::insert();
    insert.into_table("task_labels").columns(["task_id", "label_id"]);
    for label in labels {
        insert.values_panic([id(task_id).into(), id(*label).into()]);
    }
    unit.insert(insert);
}

pub(crate) fn remove_labels(unit: &mut Unit, task_id: TaskId, labels: &[LabelId]) {
    if labels.is_empty() {
        return;
    }
    let delete = Query::delete()
        .from_table("task_labels")
        .and_where(Expr::col("task_id").eq(id(task_id)))
        .and_where(Expr::col("label_id").is_in(padded(labels.iter().copied())))
        .take();
    unit.delete(delete);
}

/// Some tasks of a workspace, or of one project of it, that are assigned to a person.
pub(crate) async fn list_assigned(
    db: &Db,
    workspace_id: WorkspaceId,
    user_id: UserId,
    project_id: Option<ProjectId>,
    limit: u64,
) -> Result<Vec<TaskId>, DbError> {
    let mut select = Query::select();
    select
        .column(("task_assignees", "task_id"))
        .from("task_assignees")
        .and_where(Expr::col(("task_assignees", "user_id")).eq(id(user_id)))
        .and_where(Expr::col(("task_assignees", "workspace_id")).eq(id(workspace_id)))
        .order_by(("task_assignees", "task_id"), Order::Asc)
        .limit(limit);
    if let Some(project_id) = project_id {
        with_tasks(&mut select).and_where(Expr::col(("tasks", "project_id")).eq(id(project_id)));
    }
    Ok(ids(db, select).await?.into_iter().map(TaskId).collect())
}

/// Some projects of a workspace in which a person is assigned to tasks, in the order of their ids.
pub(crate) async fn list_projects_of(
    db: &Db,
    workspace_id: WorkspaceId,
    user_id: UserId,
    after: Option<ProjectId>,
    limit: u64,
) -> Result<Vec<ProjectId>, DbError> {
    let mut select = Query::select();
    select
        .distinct()
        .column(("tasks", "project_id"))
        .from("task_assignees")
        .and_where(Expr::col(("task_assignees", "user_id")).eq(id(user_id)))
        .and_where(Expr::col(("task_assignees", "workspace_id")).eq(id(workspace_id)))
        .and_where_option(after.map(|after| Expr::col(("tasks", "project_id")).gt(id(after))))
        .order_by(("tasks", "project_id"), Order::Asc)
        .limit(limit);
    with_tasks(&mut select);
    Ok(ids(db, select).await?.into_iter().map(ProjectId).collect())
}

/// Some people who are assigned to tasks of a project, in the order of their ids.
pub(crate) async fn list_assignees_in(db: &Db, project_id: ProjectId, after: Option<UserId>, limit: u64) -> Result<Vec<UserId>, DbError> {
    let mut select = Query::select();
    select
        .distinct()
        .column(("task_assignees", "user_id"))
        .from("task_assignees")
        .and_where(Expr::col(("tasks", "project_id")).eq(id(project_id)))
        .and_where_option(after.map(|after| Expr::col(("task_assignees", "user_id")).gt(id(after))))
        .order_by(("task_assignees", "user_id"), Order::Asc)
        .limit(limit);
    with_tasks(&mut select);
    Ok(ids(db, select).await?.into_iter().map(UserId).collect())
}

fn with_tasks(select: &mut SelectStatement) -> &mut SelectStatement {
    let same = Expr::col(("tasks", "id")).equals(("task_assignees", "task_id"));
    select.inner_join("tasks", same)
}

async fn ids(db: &Db, select: SelectStatement) -> Result<Vec<Uuid>, DbError> {
    Ok(db.all::<super::IdRow>(select).await?.into_iter().map(|row| row.0).collect())
}
