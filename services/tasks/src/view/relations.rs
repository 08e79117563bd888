//! How a task hangs together with others.

use kernel::Timestamp;
use kernel::ids::{ProjectId, TaskId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::relation::Relation;
use crate::model::{StateId, Status};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"items": [{"relation": "blocked_by", "task": {"id": "01910000-0000-7000-8000-000000000012", "key": "ABC-7",
    "project_id": "01910000-0000-7000-8000-000000000002", "title": "Order the paint", "status": "open",
    "state_id": "01910000-0000-7000-8000-000000000010", "due_at": null, "archived_at": null},
    "creator_id": "01910000-0000-7000-8000-000000000021", "created_at": "2026-11-21T09:30:00Z"}]}))]
pub struct RelationList {
    pub items: Vec<RelationView>,
}

/// A relation, as the task that was asked about sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RelationView {
    pub relation: Relation,
    /// The other task.
    pub task: RelatedTaskView,
    pub creator_id: Option<UserId>,
    pub created_at: Timestamp,
}

/// What there is to know of the other task at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RelatedTaskView {
    pub id: TaskId,
    #[schema(example = "ABC-7")]
    pub key: String,
    pub project_id: ProjectId,
    #[schema(example = "Order the paint")]
    pub title: String,
    /// What its state means.
    pub status: Status,
    pub state_id: StateId,
    pub due_at: Option<Timestamp>,
    pub archived_at: Option<Timestamp>,
}
