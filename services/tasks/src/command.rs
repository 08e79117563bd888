//! What callers ask for, as it arrives in request bodies.

mod import;

pub use import::{ImportFormat, ImportTasks};

use kernel::Timestamp;
use kernel::ids::{ProjectId, TaskId, UserId};
use platform::http::Field;
use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::model::recurrence::Trigger;
use crate::model::{LabelId, Priority, StateId, Status};
use crate::view::Visibility;

/// A new task.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Write the release notes", "priority": "high", "due_date": "2026-12-24"}))]
pub struct CreateTask {
    /// One line; surrounding white space is removed.
    #[schema(
        min_length = 1,
        max_length = 500,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub title: String,
    /// Markdown. `@[Name](user:UUID)` mentions a member, outside code.
    #[serde(default)]
    #[schema(max_length = 100_000, pattern = r"^[^\x00]*$")]
    pub description: Option<String>,
    /// A state of the workspace; its default state when left out.
    #[serde(default)]
    pub state_id: Option<StateId>,
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Due on a day: until its end in the workspace's time zone. Not together with `due_at`.
    #[serde(default)]
    #[schema(format = Date, pattern = r"^(?!0000|9999)")]
    pub due_date: Option<String>,
    /// Due at a moment of the years 0001 to 9998. Not together with `due_date`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, pattern = r"^(?!0000|9999)")]
    pub due_at: Option<Timestamp>,
    /// Members who can read the project.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub assignee_ids: Option<Vec<UserId>>,
    /// Labels of the workspace.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub label_ids: Option<Vec<LabelId>>,
    /// A task of the same project; at most five levels in all.
    #[serde(default)]
    pub parent_id: Option<TaskId>,
}

/// A merge patch (RFC 7396): what is left out stays, `null` clears.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"priority": "urgent", "due_date": null}))]
pub struct UpdateTask {
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 500, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
    pub title: Field<String>,
    /// Markdown; `null` empties it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 100_000, pattern = r"^[^\x00]*$")]
    pub description: Field<String>,
    #[serde(default)]
    #[schema(value_type = StateId, required = false)]
    pub state_id: Field<StateId>,
    /// `null` means `none`.
    #[serde(default)]
    #[schema(value_type = Option<Priority>)]
    pub priority: Field<Priority>,
    /// Sets a due day (and takes the place of a due moment); `null` clears a due day. Not together with a `due_at` value.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date, pattern = r"^(?!0000|9999)")]
    pub due_date: Field<String>,
    /// Sets a due moment (and takes the place of a due day); `null` clears whatever is set.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, pattern = r"^(?!0000|9999)")]
    pub due_at: Field<Timestamp>,
    /// Replaces all; `null` clears.
    #[serde(default)]
    #[schema(value_type = Option<Vec<UserId>>, max_items = 50)]
    pub assignee_ids: Field<Vec<UserId>>,
    /// Replaces all; `null` clears.
    #[serde(default)]
    #[schema(value_type = Option<Vec<LabelId>>, max_items = 50)]
    pub label_ids: Field<Vec<LabelId>>,
    /// `null` makes it a top-level task.
    #[serde(default)]
    #[schema(value_type = Option<TaskId>)]
    pub parent_id: Field<TaskId>,
}

/// Where a task goes on the board. With neither neighbour: to the end of its column.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"state_id": "01910000-0000-7000-8000-000000000010", "after_id": "01910000-0000-7000-8000-000000000011"}))]
pub struct MoveTask {
    /// The column; its present one when left out.
    #[serde(default)]
    pub state_id: Option<StateId>,
    /// The task that shall come right before it. Of the same project.
    #[serde(default)]
    pub after_id: Option<TaskId>,
    /// The task that shall come right after it. Of the same project.
    #[serde(default)]
    pub before_id: Option<TaskId>,
}

/// Up to 100 operations. Each task may occur once.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"operations": [{"op": "complete", "task_id": "01910000-0000-7000-8000-000000000011"}]}))]
pub struct Batch {
    /// `true` (default): all or nothing, 200. `false`: each for itself, 207 with a status per operation.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub atomic: bool,
    #[serde(deserialize_with = "platform::http::objects")]
    #[schema(schema_with = operations_schema)]
    pub operations: Vec<Operation>,
}

/// The derived schema of [`Operation`] does not say that unknown members are refused.
fn operations_schema() -> RefOr<Schema> {
    let mut operation = Operation::schema();
    if let RefOr::T(Schema::OneOf(alternatives)) = &mut operation {
        for alternative in &mut alternatives.items {
            if let RefOr::T(Schema::Object(object)) = alternative {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
    ArrayBuilder::new().items(operation).min_items(Some(1)).max_items(Some(100)).into()
}

fn yes() -> bool {
    true
}

/// One operation of a batch. `version`, where given, plays the part of `If-Match`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    Create {
        project_id: ProjectId,
        #[serde(deserialize_with = "platform::http::object")]
        task: CreateTask,
    },
    Update {
        task_id: TaskId,
        #[serde(default)]
        version: Option<i64>,
        #[serde(deserialize_with = "platform::http::object")]
        patch: UpdateTask,
    },
    Delete {
        task_id: TaskId,
        #[serde(default)]
        version: Option<i64>,
    },
    Complete {
        task_id: TaskId,
        #[serde(default)]
        version: Option<i64>,
    },
    Reopen {
        task_id: TaskId,
        #[serde(default)]
        version: Option<i64>,
    },
    Archive {
        task_id: TaskId,
        #[serde(default)]
        version: Option<i64>,
    },
    Unarchive {
        task_id: TaskId,
        #[serde(default)]
        version: Option<i64>,
    },
}

impl Operation {
    /// The existing task it is about, and the version it must have.
    pub(crate) fn target(&self) -> Option<(TaskId, Option<i64>)> {
        match self {
            Self::Create { .. } => None,
            Self::Update { task_id, version, .. }
            | Self::Delete { task_id, version }
            | Self::Complete { task_id, version }
            | Self::Reopen { task_id, version }
            | Self::Archive { task_id, version }
            | Self::Unarchive { task_id, version } => Some((*task_id, *version)),
        }
    }
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"body": "Looks good, @[Ann](user:01910000-0000-7000-8000-000000000001)!"}))]
pub struct WriteComment {
    /// Markdown. `@[Name](user:UUID)` mentions a member, outside code.
    #[schema(min_length = 1, max_length = 100_000, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    pub body: String,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "bug", "color": "#cc3333"}))]
pub struct CreateLabel {
    /// Unique in the workspace, whatever the case of its letters.
    #[schema(
        min_length = 1,
        max_length = 60,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: String,
    #[serde(default)]
    #[schema(pattern = r"^#[0-9a-fA-F]{6}$", default = "#888888")]
    pub color: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"color": "#3366cc"}))]
pub struct UpdateLabel {
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 60, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
    pub name: Field<String>,
    #[serde(default)]
    #[schema(value_type = String, required = false, pattern = r"^#[0-9a-fA-F]{6}$")]
    pub color: Field<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "In review", "status": "in_progress", "position": 15}))]
pub struct CreateState {
    /// Unique in the workspace, whatever the case of its letters.
    #[schema(
        min_length = 1,
        max_length = 60,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: String,
    pub status: Status,
    /// After all others when left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub position: Option<i32>,
    /// Only an open or in-progress state can be the default.
    #[serde(default)]
    pub is_default: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Review"}))]
pub struct UpdateState {
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 60, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
    pub name: Field<String>,
    #[serde(default)]
    #[schema(value_type = i32, required = false, minimum = 0, maximum = 1_000_000)]
    pub position: Field<i32>,
    /// `true` makes it the default in place of the present one; there is always one, so `false` is only accepted for
    /// a state that is not the default.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub is_default: Field<bool>,
}

/// A new saved view.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Urgent and mine", "query": "status=open,in_progress&assignee=me&sort=-priority,due_at", "visibility": "shared"}))]
pub struct CreateView {
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: String,
    /// Filters and sort in the words of `GET /v1/tasks`, percent-encoded as there; without those of a page (`limit`,
    /// `cursor`, `fields`, `expand`, `include_total`) and without `workspace_id`.
    #[schema(max_length = 2000, example = "status=open,in_progress&assignee=me&sort=-priority,due_at")]
    pub query: String,
    /// The view shows only this project and belongs to it.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
    /// `personal` when left out.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// After all others when left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub position: Option<i32>,
    /// Takes the place of the default there is.
    #[serde(default)]
    pub is_default: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"is_default": true}))]
pub struct UpdateView {
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
    pub name: Field<String>,
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 2000)]
    pub query: Field<String>,
    #[serde(default)]
    #[schema(value_type = Visibility, required = false)]
    pub visibility: Field<Visibility>,
    #[serde(default)]
    #[schema(value_type = i32, required = false, minimum = 0, maximum = 1_000_000)]
    pub position: Field<i32>,
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub is_default: Field<bool>,
}

/// How a task shall recur.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"rule": "FREQ=WEEKLY;BYDAY=MO", "trigger": "schedule"}))]
pub struct SetRecurrence {
    /// A recurrence rule (RFC 5545) with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY and INTERVAL, COUNT or UNTIL, BYMONTH,
    /// BYMONTHDAY, BYYEARDAY, BYDAY, BYSETPOS, WKST. The task's due date is its first occurrence.
    #[schema(max_length = 500, example = "FREQ=WEEKLY;BYDAY=MO")]
    pub rule: String,
    /// `completion` when left out.
    #[serde(default)]
    pub trigger: Option<Trigger>,
    /// The zone in which the days and the time of day are meant; the workspace's when left out.
    #[serde(default)]
    #[schema(value_type = Option<kernel::time::TimeZone>)]
    pub time_zone: Option<String>,
}

/// A new calendar feed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "My tasks"}))]
pub struct CreateFeed {
    /// What calendars call it.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: String,
    /// Filters in the words of `GET /v1/tasks`, as of a saved view; open tasks assigned to oneself when left out.
    #[serde(default)]
    #[schema(max_length = 2000, example = "assignee=me&status=open,in_progress")]
    pub query: Option<String>,
}
