//! Lists of tasks: filters, sorts and keyset pages.
//!
//! Three statements make a page, however many rows it has: tasks, assignees, labels. A total is one more; a search
//! first asks how rare its words are, and for common ones looks at the first tasks of the page.

use std::collections::BTreeMap;

use kernel::Timestamp;
use kernel::ids::{EntityId, ProjectId, TaskId, UserId, WorkspaceId};
use platform::db::{Db, DbError};
use sea_query::{Condition, Expr, ExprTrait, Order, Query, SelectStatement, UnionType, Value};
use serde::{Deserialize, Serialize};

use super::tasks::COLUMNS;
use super::{Count, id, micros, padded, people, search};
use crate::model::terms::{self, Word};
use crate::model::{LabelId, Priority, StateId, Status, Task};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Archived {
    #[default]
    Exclude,
    Only,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// Not a sub-task.
    TopLevel,
    Of(TaskId),
}

/// What a list shows. Empty collections do not filter, `projects` apart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Only these tasks.
    pub ids: Vec<TaskId>,
    /// Only these; the projects the caller may read, narrowed by the request.
    pub projects: BTreeMap<WorkspaceId, Vec<ProjectId>>,
    pub number: Option<i64>,
    pub statuses: Vec<Status>,
    pub states: Vec<StateId>,
    pub assignees: Vec<UserId>,
    /// Also (or only) tasks that nobody is assigned to.
    pub unassigned: bool,
    pub creators: Vec<UserId>,
    pub labels: Vec<LabelId>,
    pub priorities: Vec<Priority>,
    pub due_before: Option<Timestamp>,
    pub due_after: Option<Timestamp>,
    pub updated_since: Option<Timestamp>,
    pub parent: Option<Parent>,
    pub archived: Archived,
    /// Those in the trash instead, deleted after this time.
    pub deleted_since: Option<Timestamp>,
    pub text: Option<TextFilter>,
}

/// Words that must occur, or the very task a human key names.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextFilter {
    pub query: terms::Query,
    /// The word that occurs so rarely that its tasks are the best start; see [`super::search::find_rare`].
    pub rare: Option<Word>,
    /// What the query names, read as a human key.
    pub named: Option<Named>,
}

/// The task of a human key: in whichever of these projects, its number.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// Not empty.
    pub projects: Vec<ProjectId>,
    pub number: i64,
}

impl Named {
    pub fn condition(&self) -> Condition {
        Condition::all()
            .add(Expr::col("project_id").is_in(padded(self.projects.iter().copied())))
            .add(Expr::col("number").eq(self.number))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortKey {
    CreatedAt,
    UpdatedAt,
    DueAt,
    Priority,
    Position,
    Number,
    Title,
}

impl SortKey {
    fn column(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::DueAt => "due_sort",
            Self::Priority => "priority",
            Self::Position => "position",
            Self::Number => "number",
            Self::Title => "title_sort",
        }
    }

    fn value(self, task: &Task) -> SortValue {
        match self {
            Self::CreatedAt => SortValue::Int(micros(task.created_at)),
            Self::UpdatedAt => SortValue::Int(micros(task.updated_at)),
            Self::DueAt => SortValue::Int(task.due.map_or(i64::MAX, |due| micros(due.at))),
            Self::Priority => SortValue::Int(task.priority.rank().into()),
            Self::Position => SortValue::Text(task.position.clone()),
            Self::Number => SortValue::Int(task.number),
            Self::Title => SortValue::Text(terms::title_sort(&task.title)),
        }
    }

    /// As the column's own type: PostgreSQL compares INTEGER with BIGINT only through a cast.
    fn bind(self, value: &SortValue) -> Option<Value> {
        match (self, value) {
            (Self::Priority, SortValue::Int(number)) => i32::try_from(*number).ok().map(Into::into),
            (Self::Position | Self::Title, SortValue::Text(text)) => Some(text.as_str().into()),
            (Self::CreatedAt | Self::UpdatedAt | Self::DueAt | Self::Number, SortValue::Int(number)) => Some((*number).into()),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    pub key: SortKey,
    pub descending: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SortValue {
    Int(i64),
    Text(String),
}

/// The last row of a page: its sort values and id. What a cursor holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub values: Vec<SortValue>,
    pub id: TaskId,
}

impl Place {
    pub fn of(task: &Task, sorts: &[Sort]) -> Self {
        Self {
            values: sorts.iter().map(|sort| sort.key.value(task)).collect(),
            id: task.id,
        }
    }
}

/// Tasks with their links. `after` comes from a verified cursor of the same sort.
pub(crate) async fn list(db: &Db, filter: &Filter, sorts: &[Sort], after: Option<&Place>, limit: u64) -> Result<Vec<Task>, DbError> {
    let found = search::first_matches(db, filter, sorts, after, limit).await?;
    let narrowed = found.map(|ids| Filter {
        ids,
        text: None,
        ..filter.clone()
    });
    let filter = narrowed.as_ref().unwrap_or(filter);
    let columns: Vec<&'static str> = COLUMNS.into_iter().chain(["due_sort", "title_sort"]).collect();
    let Some(select) = page(filter, sorts, after, limit, &columns) else {
        return Ok(Vec::new());
    };
    let mut tasks = db.all::<Task>(select).await?;
    people::attach(db, &mut tasks).await?;
    Ok(tasks)
}

/// The statement of a page. `columns` holds the sort columns. `None`: the caller can see no project.
pub(super) fn page(
    filter: &Filter,
    sorts: &[Sort],
    after: Option<&Place>,
    limit: u64,
    columns: &[&'static str],
) -> Option<SelectStatement> {
    let mut branches: Vec<SelectStatement> = scopes(filter)
        .iter()
        .map(|scope| {
            let mut select = filtered(filter, scope);
            select.columns(columns.iter().copied());
            if let Some(place) = after {
                select.cond_where(beyond(sorts, place));
            }
            ordered(&mut select, sorts, limit);
            select
        })
        .collect();
    match branches.len() {
        0 => None,
        1 => Some(branches.remove(0)),
        _ => Some(merged(branches, sorts, limit, columns)),
    }
}

/// Most branches of one list.
const MAX_BRANCHES: usize = 16;

/// One part of a list: some projects, and what else an index can start from.
struct Scope {
    workspace: Option<WorkspaceId>,
    projects: Vec<ProjectId>,
}

/// Cuts a list into parts that each walk one index in the order of the page and stop after a page: project by project
/// or workspace by workspace. In one piece, the engine would read and sort every task the caller can see. Known tasks and
/// those with a word stay in one piece, because they are the better start.
fn scopes(filter: &Filter) -> Vec<Scope> {
    let all: Vec<ProjectId> = filter.projects.values().flatten().copied().collect();
    if all.is_empty() {
        return Vec::new();
    }
    if filter.text.is_some() || !filter.ids.is_empty() {
        return vec![Scope {
            workspace: None,
            projects: all,
        }];
    }
    if all.len() <= MAX_BRANCHES {
        let one = |project| Scope {
            workspace: None,
            projects: vec![project],
        };
        return all.into_iter().map(one).collect();
    }
    if filter.projects.len() <= MAX_BRANCHES {
        let one = |(workspace, projects): (&WorkspaceId, &Vec<ProjectId>)| Scope {
            workspace: Some(*workspace),
            projects: projects.clone(),
        };
        return filter.projects.iter().map(one).collect();
    }
    vec![Scope {
        workspace: None,
        projects: all,
    }]
}

/// The first `limit` rows of all branches together. Each branch is a subquery of its own, since SQLite allows neither
/// ORDER BY nor LIMIT inside a compound select.
fn merged(branches: Vec<SelectStatement>, sorts: &[Sort], limit: u64, columns: &[&'static str]) -> SelectStatement {
    let mut branches = branches.into_iter().map(|branch| {
        Query::select()
            .columns(columns.iter().copied())
            .from_subquery(branch, "branch")
            .take()
    });
    let mut union = branches.next().unwrap_or_else(|| Query::select().take());
    union.unions(branches.map(|branch| (UnionType::All, branch)));
    let mut select = Query::select().columns(columns.iter().copied()).from_subquery(union, "page").take();
    ordered(&mut select, sorts, limit);
    select
}

pub(super) fn ordered(select: &mut SelectStatement, sorts: &[Sort], limit: u64) {
    for sort in sorts {
        select.order_by(sort.key.column(), direction(sort.descending));
    }
    select.order_by("id", direction(id_descends(sorts))).limit(limit);
}

pub(crate) async fn count(db: &Db, filter: &Filter) -> Result<u64, DbError> {
    let projects: Vec<ProjectId> = filter.projects.values().flatten().copied().collect();
    if projects.is_empty() {
        return Ok(0);
    }
    let everywhere = Scope { workspace: None, projects };
    let mut select = filtered(filter, &everywhere);
    select.expr(Expr::col("id").count());
    let count = db.one::<Count>(select).await?.0;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn direction(descending: bool) -> Order {
    if descending { Order::Desc } else { Order::Asc }
}

/// The tie-break follows the last sort key, so that one index serves both.
fn id_descends(sorts: &[Sort]) -> bool {
    sorts.last().is_some_and(|sort| sort.descending)
}

/// Keyset condition in expanded form: (a > x) OR (a = x AND b > y) OR (a = x AND b = y AND id > z).
/// MariaDB does not range-scan row values.
fn beyond(sorts: &[Sort], place: &Place) -> Condition {
    let mut alternatives = Condition::any();
    let mut equal: Vec<Expr> = Vec::new();
    let further = |column: &'static str, value: Value, descending: bool| {
        if descending {
            Expr::col(column).lt(value)
        } else {
            Expr::col(column).gt(value)
        }
    };
    let all = |equal: &[Expr], last: Expr| equal.iter().cloned().fold(Condition::all(), Condition::add).add(last);
    for (sort, value) in sorts.iter().zip(&place.values) {
        let Some(value) = sort.key.bind(value) else { continue };
        let column = sort.key.column();
        alternatives = alternatives.add(all(&equal, further(column, value.clone(), sort.descending)));
        equal.push(Expr::col(column).eq(value));
    }
    alternatives.add(all(&equal, further("id", place.id.uuid().into(), id_descends(sorts))))
}

fn filtered(filter: &Filter, scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    match &filter.text {
        Some(text) => search::from_matching(&mut select, filter, text),
        None => _ = select.from("tasks"),
    }
    if !filter.ids.is_empty() {
        select.and_where(Expr::col("id").is_in(padded(filter.ids.iter().copied())));
    }
    select.and_where_option(filter.number.map(|number| Expr::col("number").eq(number)));
    select.and_where_option(scope.workspace.map(|workspace| Expr::col("workspace_id").eq(id(workspace))));
    match scope.projects[..] {
        [project] => select.and_where(Expr::col("project_id").eq(id(project))),
        _ => select.and_where(Expr::col("project_id").is_in(padded(scope.projects.iter().copied()))),
    };
    select.and_where(match filter.deleted_since {
        Some(since) => Expr::col("deleted_at").gt(micros(since)),
        None => Expr::col("deleted_at").is_null(),
    });
    match filter.archived {
        Archived::Exclude => select.and_where(Expr::col("archived_at").is_null()),
        Archived::Only => select.and_where(Expr::col("archived_at").is_not_null()),
        Archived::Any => &mut select,
    };
    match filter.parent {
        Some(Parent::TopLevel) => select.and_where(Expr::col("parent_id").is_null()),
        Some(Parent::Of(parent)) => select.and_where(Expr::col("parent_id").eq(id(parent))),
        None => &mut select,
    };
    columns_in(&mut select, filter);
    times(&mut select, filter);
    links(&mut select, filter);
    select
}

fn columns_in(select: &mut SelectStatement, filter: &Filter) {
    if !filter.statuses.is_empty() {
        select.and_where(Expr::col("status").is_in(filter.statuses.iter().map(|status| status.as_str())));
    }
    if !filter.states.is_empty() {
        select.and_where(Expr::col("state_id").is_in(padded(filter.states.iter().copied())));
    }
    if !filter.priorities.is_empty() {
        select.and_where(Expr::col("priority").is_in(filter.priorities.iter().map(|priority| priority.rank())));
    }
    if !filter.creators.is_empty() {
        select.and_where(Expr::col("creator_id").is_in(padded(filter.creators.iter().copied())));
    }
}

fn times(select: &mut SelectStatement, filter: &Filter) {
    // A task without a due date is neither before nor after anything.
    if filter.due_before.is_some() || filter.due_after.is_some() {
        select.and_where(Expr::col("due_at").is_not_null());
    }
    select.and_where_option(filter.due_before.map(|at| Expr::col("due_sort").lt(micros(at))));
    select.and_where_option(filter.due_after.map(|at| Expr::col("due_sort").gt(micros(at))));
    select.and_where_option(filter.updated_since.map(|at| Expr::col("updated_at").gte(micros(at))));
}

fn links(select: &mut SelectStatement, filter: &Filter) {
    if !filter.assignees.is_empty() || filter.unassigned {
        let mut any = Condition::any();
        if !filter.assignees.is_empty() {
            any = any.add(Expr::col("id").in_subquery(linked("task_assignees", "user_id", &filter.assignees)));
        }
        if filter.unassigned {
            let assigned = Query::select()
                .column(("task_assignees", "task_id"))
                .from("task_assignees")
                .and_where(Expr::col(("task_assignees", "task_id")).equals(("tasks", "id")))
                .take();
            any = any.add(Expr::not_exists(assigned));
        }
        select.cond_where(any);
    }
    if !filter.labels.is_empty() {
        select.and_where(Expr::col("id").in_subquery(linked("task_labels", "label_id", &filter.labels)));
    }
}

fn linked<T: EntityId>(table: &'static str, column: &'static str, ids: &[T]) -> SelectStatement {
    Query::select()
        .column("task_id")
        .from(table)
        .and_where(Expr::col(column).is_in(padded(ids.iter().copied())))
        .take()
}
