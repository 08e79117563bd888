//! What the API shows.

mod feeds;
mod recurrence;
mod relations;
mod saved;
mod transfer;
mod trash;

pub use feeds::{FeedList, FeedView, NewFeedView};
pub use recurrence::RecurrenceView;
pub use relations::{RelatedTaskView, RelationList, RelationView};
pub use saved::{SavedViewList, SavedViewView, Visibility};
pub use transfer::{ExportedTask, ImportColumn, ImportReport, ImportedTask, RowError, TasksExport};
pub use trash::{TrashItem, TrashKind};

use kernel::Timestamp;
use kernel::ids::{CommentId, ProjectId, TaskId, UserId, WorkspaceId};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::model::recurrence::RecurrenceId;
use crate::model::{ActivityId, Comment, Label, LabelId, Priority, State, StateId, Status, Task, human_key};
use crate::store::activity::Activity;

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01910000-0000-7000-8000-000000000011", "key": "ABC-123", "number": 123, "workspace_id": "01910000-0000-7000-8000-000000000001",
    "project_id": "01910000-0000-7000-8000-000000000002", "title": "Write the release notes", "description": "For **1.0**.",
    "state_id": "01910000-0000-7000-8000-000000000010", "status": "open", "priority": "high", "due_date": "2026-12-24",
    "due_at": "2026-12-24T22:59:59.999999Z", "assignee_ids": ["01910000-0000-7000-8000-000000000021"],
    "label_ids": ["01910000-0000-7000-8000-000000000031"], "parent_id": null, "recurrence_id": null, "position": "0643c1b2a3d4e5004280",
    "creator_id": "01910000-0000-7000-8000-000000000021", "comment_count": 2, "subtask_count": 3, "subtask_done_count": 1,
    "version": 4, "created_at": "2026-11-21T09:30:00Z", "updated_at": "2026-11-21T09:30:00Z", "completed_at": null,
    "archived_at": null, "deleted_at": null
}))]
pub struct TaskView {
    pub id: TaskId,
    /// What people call it: the project's key and the task's number.
    #[schema(example = "ABC-123")]
    pub key: String,
    pub number: i64,
    pub workspace_id: WorkspaceId,
    pub project_id: ProjectId,
    #[schema(example = "Write the release notes")]
    pub title: String,
    /// Markdown.
    pub description: String,
    pub state_id: StateId,
    /// What the state means.
    pub status: Status,
    pub priority: Priority,
    /// Set when the task is due on a day rather than at a moment.
    #[schema(format = Date, example = "2026-12-24")]
    pub due_date: Option<String>,
    /// The moment from which the task is overdue. For a `due_date`: the last microsecond of that day in the time zone
    /// the workspace had when the date was written.
    pub due_at: Option<Timestamp>,
    pub assignee_ids: Vec<UserId>,
    pub label_ids: Vec<LabelId>,
    pub parent_id: Option<TaskId>,
    /// The series it is a task of; see `GET /v1/tasks/{task_id}/recurrence`.
    pub recurrence_id: Option<RecurrenceId>,
    /// Orders the tasks of a project; compare as text. Changed only through `PUT /v1/tasks/{task_id}/position`.
    pub position: String,
    /// Absent for tasks that no person created.
    pub creator_id: Option<UserId>,
    pub comment_count: i32,
    /// Direct sub-tasks.
    pub subtask_count: i32,
    /// Direct sub-tasks that are done.
    pub subtask_done_count: i32,
    /// Grows with every change; the `ETag`.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub archived_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    /// Only with `expand=assignees`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub assignees: Option<Vec<PersonView>>,
    /// Only with `expand=labels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub labels: Option<Vec<LabelView>>,
    /// Only with `expand=project`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub project: Option<ProjectView>,
}

/// The members of [`TaskView`] that `fields=` may name.
pub(crate) const TASK_FIELDS: [&str; 27] = [
    "id",
    "key",
    "number",
    "workspace_id",
    "project_id",
    "title",
    "description",
    "state_id",
    "status",
    "priority",
    "due_date",
    "due_at",
    "assignee_ids",
    "label_ids",
    "parent_id",
    "recurrence_id",
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
];

impl TaskView {
    pub(crate) fn new(task: Task, project_key: &str) -> Self {
        Self {
            id: task.id,
            key: human_key(project_key, task.number),
            number: task.number,
            workspace_id: task.workspace_id,
            project_id: task.project_id,
            title: task.title,
            description: task.description,
            state_id: task.state_id,
            status: task.status,
            priority: task.priority,
            due_date: task.due.and_then(|due| due.date).map(|date| date.to_string()),
            due_at: task.due.map(|due| due.at),
            assignee_ids: task.assignee_ids,
            label_ids: task.label_ids,
            parent_id: task.parent_id,
            recurrence_id: task.recurrence_id,
            position: task.position,
            creator_id: task.creator_id,
            comment_count: task.comment_count,
            subtask_count: task.subtask_count,
            subtask_done_count: task.subtask_done_count,
            version: task.version,
            created_at: task.created_at,
            updated_at: task.updated_at,
            completed_at: task.completed_at,
            archived_at: task.archived_at,
            deleted_at: task.deleted_at,
            assignees: None,
            labels: None,
            project: None,
        }
    }
}

/// A task in a list: whole, or only the members that `fields=` asked for (and always `id`).
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum TaskItem {
    Whole(Box<TaskView>),
    Part(Value),
}

impl TaskItem {
    pub(crate) fn new(view: TaskView, fields: Option<&[String]>) -> Self {
        let Some(fields) = fields else {
            return Self::Whole(Box::new(view));
        };
        let mut value = serde_json::to_value(view).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            let expanded = ["assignees", "labels", "project"];
            members.retain(|name, _| name == "id" || expanded.contains(&name.as_str()) || fields.iter().any(|field| field == name));
        }
        Self::Part(value)
    }
}

impl PartialSchema for TaskItem {
    /// [`TaskView`], of which `fields=` may leave out everything but the id.
    fn schema() -> RefOr<Schema> {
        let mut schema = TaskView::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required = vec!["id".to_owned()];
        }
        schema
    }
}

impl ToSchema for TaskItem {
    fn name() -> std::borrow::Cow<'static, str> {
        "TaskItem".into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        TaskView::schemas(schemas);
    }
}

/// A person, as a task shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TaskPersonView)]
pub struct PersonView {
    pub id: UserId,
    #[schema(example = "Ann Example")]
    pub name: String,
}

/// A project, as a task shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TaskProjectView)]
pub struct ProjectView {
    pub id: ProjectId,
    #[schema(example = "ABC")]
    pub key: String,
    pub name: String,
    pub archived: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"id": "01910000-0000-7000-8000-000000000031", "workspace_id": "01910000-0000-7000-8000-000000000001", "name": "bug", "color": "#cc3333",
    "version": 1, "created_at": "2026-11-21T09:30:00Z", "updated_at": "2026-11-21T09:30:00Z"}))]
pub struct LabelView {
    pub id: LabelId,
    pub workspace_id: WorkspaceId,
    #[schema(example = "bug")]
    pub name: String,
    #[schema(example = "#cc3333")]
    pub color: String,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<Label> for LabelView {
    fn from(label: Label) -> Self {
        Self {
            id: label.id,
            workspace_id: label.workspace_id,
            name: label.name,
            color: label.color,
            version: label.version,
            created_at: label.created_at,
            updated_at: label.updated_at,
        }
    }
}

/// A workflow state of a workspace: a column of its boards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"id": "01910000-0000-7000-8000-000000000010", "workspace_id": "01910000-0000-7000-8000-000000000001", "name": "To do", "status": "open", "position": 1000,
    "is_default": true, "version": 1, "created_at": "2026-11-21T09:30:00Z", "updated_at": "2026-11-21T09:30:00Z"}))]
pub struct StateView {
    pub id: StateId,
    pub workspace_id: WorkspaceId,
    #[schema(example = "In review")]
    pub name: String,
    /// What the state means. Fixed: tasks in a state never change their meaning behind people's backs.
    pub status: Status,
    /// Order of the columns; equal positions are ordered by name.
    pub position: i32,
    /// New and reopened tasks enter this state.
    pub is_default: bool,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<State> for StateView {
    fn from(state: State) -> Self {
        Self {
            id: state.id,
            workspace_id: state.workspace_id,
            name: state.name,
            status: state.status,
            position: state.position,
            is_default: state.is_default,
            version: state.version,
            created_at: state.created_at,
            updated_at: state.updated_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"items": [{"id": "01910000-0000-7000-8000-000000000010", "workspace_id": "01910000-0000-7000-8000-000000000001", "name": "To do", "status": "open", "position": 1000,
    "is_default": true, "version": 1, "created_at": "2026-11-21T09:30:00Z", "updated_at": "2026-11-21T09:30:00Z"}]}))]
pub struct StateList {
    pub items: Vec<StateView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"id": "01910000-0000-7000-8000-000000000041", "task_id": "01910000-0000-7000-8000-000000000011",
    "workspace_id": "01910000-0000-7000-8000-000000000001", "author_id": "01910000-0000-7000-8000-000000000021",
    "body": "Looks good, @[Ann](user:01910000-0000-7000-8000-000000000021)!", "version": 1, "created_at": "2026-11-21T09:30:00Z",
    "updated_at": "2026-11-21T09:30:00Z", "edited_at": null}))]
pub struct CommentView {
    pub id: CommentId,
    pub task_id: TaskId,
    pub workspace_id: WorkspaceId,
    pub author_id: Option<UserId>,
    /// Markdown.
    pub body: String,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When the text was last changed; absent while it is as first written.
    pub edited_at: Option<Timestamp>,
}

impl From<Comment> for CommentView {
    fn from(comment: Comment) -> Self {
        Self {
            id: comment.id,
            task_id: comment.task_id,
            workspace_id: comment.workspace_id,
            author_id: comment.author_id,
            body: comment.body,
            version: comment.version,
            created_at: comment.created_at,
            updated_at: comment.updated_at,
            edited_at: comment.edited_at,
        }
    }
}

/// One line of a task's history.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({"id": "01910000-0000-7000-8000-000000000051", "task_id": "01910000-0000-7000-8000-000000000011",
    "actor_id": "01910000-0000-7000-8000-000000000021", "kind": "updated", "field": "priority", "old": "low", "new": "high", "created_at": "2026-11-21T09:30:00Z"}))]
pub struct ActivityView {
    pub id: ActivityId,
    pub task_id: TaskId,
    /// Absent when the system did it.
    pub actor_id: Option<UserId>,
    /// `created`, `updated`, `completed`, `reopened`, `archived`, `unarchived`, `deleted`, `restored`,
    /// `comment_created`, `comment_updated`, `comment_deleted`, `relation_added` or `relation_removed`; more may follow.
    #[schema(example = "updated")]
    pub kind: String,
    /// The changed member, for `updated`, `completed` and `reopened`.
    #[schema(example = "priority")]
    pub field: Option<String>,
    /// The value before; long texts are cut after 500 characters.
    #[schema(schema_with = any_value)]
    pub old: Value,
    /// The value after; long texts are cut after 500 characters.
    #[schema(schema_with = any_value)]
    pub new: Value,
    pub created_at: Timestamp,
}

/// A schema that says nothing: any JSON value, `null` included.
fn any_value() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::AnyValue)
        .into()
}

impl From<Activity> for ActivityView {
    fn from(line: Activity) -> Self {
        Self {
            id: line.id,
            task_id: line.task_id,
            actor_id: line.actor_id,
            kind: line.kind,
            field: line.field,
            old: line.old,
            new: line.new,
            created_at: line.created_at,
        }
    }
}
