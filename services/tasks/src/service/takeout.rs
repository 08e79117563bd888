//! Tasks and what hangs on them, as files.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use kernel::cursor::Page;
use kernel::ids::{EntityId, ProjectId, TaskId, UserId, WorkspaceId};
use kernel::roles::Permission;
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::takeout::{Disclosure, Given, PART_ROWS, Part, Subject, Takeout};
use serde_json::json;
use uuid::Uuid;

use super::TasksService;
use super::list::{Criteria, Person, Shape};
use crate::model::MAX_LABELS;
use crate::model::recurrence::Recurrence;
use crate::store;
use crate::store::list::{Archived, Sort, SortKey};
use crate::store::relations::RelationRow;
use crate::view::{ActivityView, CommentView, LabelView, Visibility};

/// What becomes of each table.
pub const DISCLOSED: &[Disclosure] = &[
    Disclosure::new("tasks", Given::In("created-tasks"), Given::In("tasks")),
    Disclosure::new("task_assignees", Given::In("assigned-tasks"), Given::In("tasks")),
    Disclosure::new("task_labels", Given::In("created-tasks"), Given::In("tasks")),
    Disclosure::new("comments", Given::In("comments"), Given::In("comments")),
    Disclosure::new(
        "task_activity",
        Given::Not("the history belongs to the tasks, not to who changed them"),
        Given::In("activity"),
    ),
    Disclosure::new("task_relations", Given::Not(SHARED), Given::In("relations")),
    Disclosure::new("task_recurrences", Given::Not(SHARED), Given::In("recurrences")),
    Disclosure::new("labels", Given::Not(SHARED), Given::In("labels")),
    Disclosure::new("task_states", Given::Not(SHARED), Given::In("states")),
    Disclosure::new("task_views", Given::In("views"), Given::In("views")),
    Disclosure::new("task_feeds", Given::In("calendar-feeds"), Given::Not("personal")),
    Disclosure::new("task_terms", Given::Not(SEARCH), Given::Not(SEARCH)),
    Disclosure::new("task_refold", Given::Not(SEARCH), Given::Not(SEARCH)),
    Disclosure::new("task_projects", Given::Not(COUNTERS), Given::Not(COUNTERS)),
    Disclosure::new("task_workspaces", Given::Not(COUNTERS), Given::Not(COUNTERS)),
];

const SHARED: &str = "belongs to the workspace, not to a person";
const SEARCH: &str = "made from titles and descriptions, for the search";
const COUNTERS: &str = "counters";

const OF_PERSON: &[&str] = &["assigned-tasks", "created-tasks", "comments", "views", "calendar-feeds"];
const OF_WORKSPACE: &[&str] = &[
    "tasks",
    "deleted-tasks",
    "comments",
    "activity",
    "relations",
    "recurrences",
    "labels",
    "states",
    "views",
];

#[async_trait]
impl Takeout for TasksService {
    fn files(&self, subject: Subject) -> &'static [&'static str] {
        match subject {
            Subject::Person => OF_PERSON,
            Subject::Workspace(_) => OF_WORKSPACE,
        }
    }

    async fn part(&self, caller: &Caller, subject: Subject, file: &str, cursor: Option<String>) -> Result<Part> {
        match subject {
            Subject::Person => self.part_of_person(caller, file, cursor).await,
            Subject::Workspace(id) => {
                self.membership(caller, id, Permission::WorkspaceExport).await?;
                self.part_of_workspace(caller, id, file, cursor).await
            }
        }
    }
}

/// Where a list of comments or history goes on.
type Moment = (Timestamp, Uuid);

impl TasksService {
    async fn part_of_person(&self, caller: &Caller, file: &str, cursor: Option<String>) -> Result<Part> {
        let me = || vec![Person::Me];
        match file {
            "assigned-tasks" => {
                let assigned = Criteria {
                    assignees: me(),
                    ..everything()
                };
                self.part_of_tasks(caller, assigned, cursor).await
            }
            "created-tasks" => {
                let created = Criteria {
                    creators: me(),
                    ..everything()
                };
                self.part_of_tasks(caller, created, cursor).await
            }
            "comments" => self.own_comments(caller, cursor).await,
            "views" => {
                let readable = self.readable_projects(caller, None).await?;
                let workspaces: BTreeSet<WorkspaceId> = readable.iter().map(|access| access.workspace_id).collect();
                let mut views = Vec::new();
                for workspace_id in workspaces {
                    views.extend(self.list_views(caller, workspace_id, None).await?.items);
                }
                let me = caller.user_id()?;
                views.retain(|view| view.owner_id == me);
                Part::whole(views)
            }
            "calendar-feeds" => Part::whole(self.list_feeds(caller).await?.items),
            other => Err(Error::internal(format!("no file {other:?}"))),
        }
    }

    async fn part_of_workspace(&self, caller: &Caller, id: WorkspaceId, file: &str, cursor: Option<String>) -> Result<Part> {
        let me = caller.user_id()?;
        let binding = format!("takeout|{file}|{id}|{me}");
        let rows = u64::from(PART_ROWS) + 1;
        match file {
            "tasks" | "deleted-tasks" => {
                let all = Criteria {
                    workspace_id: Some(id),
                    deleted: file == "deleted-tasks",
                    ..everything()
                };
                self.part_of_tasks(caller, all, cursor).await
            }
            "comments" => {
                let after = self.toolkit.cursors.start::<Moment>(cursor.as_deref(), &binding)?;
                let comments = store::comments::list_in(&self.db, id, after, rows).await?;
                let page = self.cut(comments, &binding, |comment| (comment.created_at, comment.id.uuid()))?;
                Part::page(page.map(CommentView::from))
            }
            "activity" => {
                let after = self.toolkit.cursors.start::<Moment>(cursor.as_deref(), &binding)?;
                let lines = store::activity::list_in(&self.db, id, after, rows).await?;
                let page = self.cut(lines, &binding, |line| (line.created_at, line.id.uuid()))?;
                Part::page(page.map(ActivityView::from))
            }
            "relations" => {
                let after = self
                    .toolkit
                    .cursors
                    .start::<(TaskId, TaskId, String)>(cursor.as_deref(), &binding)?;
                let relations = store::relations::list_in(&self.db, id, after.as_ref(), rows).await?;
                let page = self.cut(relations, &binding, |row| {
                    (row.source_id, row.target_id, row.edge.as_str().to_owned())
                })?;
                Part::page(page.map(relation))
            }
            "recurrences" => {
                let after = self.toolkit.cursors.start::<Uuid>(cursor.as_deref(), &binding)?;
                let series = store::recurrences::list_in(&self.db, id, after, rows).await?;
                let page = self.cut(series, &binding, |series| series.id.uuid())?;
                Part::page(page.map(recurrence))
            }
            "labels" => {
                let labels = store::labels::list(&self.db, id, None, MAX_LABELS as u64).await?;
                Part::whole(labels.into_iter().map(LabelView::from))
            }
            "states" => Part::whole(self.list_states(caller, id).await?.items),
            "views" => {
                let mut views = self.list_views(caller, id, None).await?.items;
                // Personal ones are their owners' alone.
                views.retain(|view| view.visibility == Visibility::Shared);
                Part::whole(views)
            }
            other => Err(Error::internal(format!("no file {other:?}"))),
        }
    }

    async fn part_of_tasks(&self, caller: &Caller, criteria: Criteria, cursor: Option<String>) -> Result<Part> {
        let shape = Shape {
            limit: u64::from(PART_ROWS),
            cursor,
            ..Shape::default()
        };
        Part::page(self.list_tasks(caller, criteria, shape).await?)
    }

    /// What the caller wrote on tasks of projects they can read now; of deleted tasks on those that can still be restored.
    async fn own_comments(&self, caller: &Caller, cursor: Option<String>) -> Result<Part> {
        let me: UserId = caller.user_id()?;
        let binding = format!("takeout|comments|{me}");
        let after = self.toolkit.cursors.start::<Moment>(cursor.as_deref(), &binding)?;
        let comments = store::comments::list_of_author(&self.db, me, after, u64::from(PART_ROWS) + 1).await?;
        let mut page = self.cut(comments, &binding, |comment| (comment.created_at, comment.id.uuid()))?;
        let ids: BTreeSet<TaskId> = page.items.iter().map(|comment| comment.task_id).collect();
        let ids: Vec<TaskId> = ids.into_iter().collect();
        let readable = self.readable_projects(caller, None).await?;
        let readable: HashSet<ProjectId> = readable.iter().map(|access| access.project_id).collect();
        let tasks = store::tasks::list_by_ids(&self.db, &ids).await?;
        let since = self.toolkit.clock.now().minus(self.config.restore_time());
        let kept = |deleted_at: Option<Timestamp>| deleted_at.is_none_or(|at| at > since);
        let seen = tasks
            .iter()
            .filter(|task| kept(task.deleted_at) && readable.contains(&task.project_id));
        let seen: HashSet<TaskId> = seen.map(|task| task.id).collect();
        page.items.retain(|comment| seen.contains(&comment.task_id));
        Part::page(page.map(CommentView::from))
    }

    fn cut<T, P: serde::Serialize>(&self, rows: Vec<T>, binding: &str, place: impl Fn(&T) -> P) -> Result<Page<T>> {
        self.toolkit.cursors.page(rows, u64::from(PART_ROWS), binding, place)
    }
}

/// Whatever its state, oldest first: what is made meanwhile comes behind.
fn everything() -> Criteria {
    let oldest_first = Sort {
        key: SortKey::CreatedAt,
        descending: false,
    };
    Criteria {
        archived: Archived::Any,
        sorts: vec![oldest_first],
        ..Criteria::default()
    }
}

fn relation(row: RelationRow) -> serde_json::Value {
    json!({
        "source_id": row.source_id,
        "relation": row.edge.as_str(),
        "target_id": row.target_id,
        "creator_id": row.creator_id,
        "created_at": row.created_at,
    })
}

fn recurrence(series: Recurrence) -> serde_json::Value {
    json!({
        "id": series.id,
        "project_id": series.project_id,
        "task_id": series.task_id,
        "rule": series.rule,
        "trigger": series.trigger,
        "time_zone": series.time_zone,
        "first_date": series.first.to_string(),
        "current_date": series.current.to_string(),
        "creator_id": series.creator_id,
        "ended_at": series.ended_at,
        "created_at": series.created_at,
        "updated_at": series.updated_at,
    })
}
