//! How a task recurs.

use kernel::Timestamp;
use kernel::ids::TaskId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::recurrence::{RecurrenceId, Trigger};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"id": "01910000-0000-7000-8000-000000000071", "task_id": "01910000-0000-7000-8000-000000000011", "is_current": true,
    "rule": "FREQ=WEEKLY;BYDAY=MO", "trigger": "completion", "time_zone": "Europe/Berlin", "next_due_date": "2026-12-28",
    "next_due_at": "2026-12-28T22:59:59.999999Z", "ended_at": null, "created_at": "2026-11-21T09:30:00Z", "updated_at": "2026-11-21T09:30:00Z"}))]
pub struct RecurrenceView {
    pub id: RecurrenceId,
    /// The present task of the series, from which the next one is made.
    pub task_id: TaskId,
    /// Whether that is the task that was asked about.
    pub is_current: bool,
    #[schema(example = "FREQ=WEEKLY;BYDAY=MO")]
    pub rule: String,
    pub trigger: Trigger,
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// The next occurrence by the calendar; absent when there is none.
    #[schema(format = Date)]
    pub next_due_date: Option<String>,
    pub next_due_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
