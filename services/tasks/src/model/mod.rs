//! What a task is: entities, closed sets and limits. Pure; no I/O.

pub(crate) mod due;
pub(crate) mod feed;
pub(crate) mod ics;
pub(crate) mod import;
pub(crate) mod mentions;
pub(crate) mod position;
pub(crate) mod recurrence;
pub(crate) mod relation;
pub(crate) mod rrule;
pub(crate) mod saved;
pub(crate) mod sheet;
pub(crate) mod table;
pub(crate) mod terms;
pub(crate) mod text;

use kernel::Timestamp;
use kernel::ids::{CommentId, ProjectId, TaskId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

pub(crate) use due::Due;
pub(crate) use position::Place;

kernel::id_type!(
    /// A workflow state of a workspace, such as "In review".
    StateId,
    LabelId,
    /// One line of a task's history.
    ActivityId,
);

/// Longest title, in characters.
pub(crate) const MAX_TITLE: usize = 500;
/// Longest description and comment, in characters.
pub(crate) const MAX_TEXT: usize = 100_000;
/// Most assignees, and most labels, of one task.
pub(crate) const MAX_LINKS: usize = 50;
/// A top-level task has level 1; no task lies deeper than this.
pub(crate) const MAX_DEPTH: usize = 5;
/// Most sub-tasks (of all levels) that are deleted or restored together with their ancestor.
pub(crate) const MAX_SUBTREE: usize = 500;
/// Most states, and most labels, of one workspace.
pub(crate) const MAX_STATES: usize = 100;
pub(crate) const MAX_LABELS: usize = 1_000;

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, kernel::ids::utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vmeta])* $variant),+ }
        impl $name {
        }
        impl std::str::FromStr for $name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(UnknownName) }
            }
        }
    };
}

/// A text names no member of a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownName;

impl std::fmt::Display for UnknownName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unknown name")
    }
}

text_enum!(
    /// What a workflow state means, whatever the workspace calls it.
    Status {
        Open => "open",
        InProgress => "in_progress",
        Done => "done",
        Cancelled => "cancelled",
    }
);

impl Status {
    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Nothing is left to do: neither reminders nor "open tasks" lists care any more.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

text_enum!(Priority {
    None => "none",
    Low => "low",
    Medium => "medium",
    High => "high",
    Urgent => "urgent",
});

impl Priority {
    /// As shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }

    /// The stored rank; `urgent` is the greatest.
    pub const fn rank(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
            Self::Urgent => 4,
        }
    }

    pub const fn from_rank(rank: i32) -> Option<Self> {
        Some(match rank {
            0 => Self::None,
            1 => Self::Low,
            2 => Self::Medium,
            3 => Self::High,
            4 => Self::Urgent,
            _ => return None,
        })
    }
}

/// A task with the people and labels on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    pub id: TaskId,
    pub workspace_id: WorkspaceId,
    pub project_id: ProjectId,
    /// Counts from 1 inside the project, in the order of creation; never given twice.
    pub number: i64,
    pub title: String,
    pub description: String,
    pub state_id: StateId,
    /// The meaning of the state, kept with the task so that lists need no join.
    pub status: Status,
    pub priority: Priority,
    pub due: Option<Due>,
    pub parent_id: Option<TaskId>,
    /// Orders the tasks of a project on a board; see [`position`].
    pub position: String,
    pub creator_id: Option<UserId>,
    pub comment_count: i32,
    /// Direct sub-tasks that are not deleted, and those among them that are done.
    pub subtask_count: i32,
    pub subtask_done_count: i32,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    pub archived_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    /// The series it is a task of.
    pub recurrence_id: Option<recurrence::RecurrenceId>,
    /// The task whose deletion took this one with it; the task's own id when it was deleted itself.
    pub deleted_with: Option<TaskId>,
    /// Sorted.
    pub assignee_ids: Vec<UserId>,
    /// Sorted.
    pub label_ids: Vec<LabelId>,
}

impl Task {
    pub fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }

    pub fn place(&self) -> Place {
        Place::new(self.position.clone(), self.id)
    }

    /// Moves the task into a state. `completed_at` follows the meaning: set when it becomes done, kept while it
    /// stays done, cleared otherwise.
    pub fn enter(&mut self, state: &State, now: Timestamp) {
        if state.status != Status::Done {
            self.completed_at = None;
        } else if self.status != Status::Done || self.completed_at.is_none() {
            self.completed_at = Some(now);
        }
        self.state_id = state.id;
        self.status = state.status;
    }

    /// The moment reminders count from; `None` when nobody needs one.
    pub fn reminder_at(&self) -> Option<Timestamp> {
        if self.status.is_closed() || self.archived_at.is_some() || !self.is_live() {
            return None;
        }
        self.due.map(|due| due.at)
    }
}

/// A workflow state of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub id: StateId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    pub status: Status,
    /// Order of the columns on a board; equal positions fall back to the name.
    pub position: i32,
    pub is_default: bool,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a new workspace starts with; the first one is the default.
pub(crate) const DEFAULT_STATES: [(&str, Status); 4] = [
    ("To do", Status::Open),
    ("In progress", Status::InProgress),
    ("Done", Status::Done),
    ("Cancelled", Status::Cancelled),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub id: LabelId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    /// What makes the name unique and orders the labels, as it is stored.
    pub name_folded: String,
    /// `#rrggbb`, lower-case.
    pub color: String,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comment {
    pub id: CommentId,
    pub workspace_id: WorkspaceId,
    pub task_id: TaskId,
    pub author_id: Option<UserId>,
    pub body: String,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub edited_at: Option<Timestamp>,
}

/// The state a task enters when nobody names one.
pub(crate) fn default_state(states: &[State]) -> Option<&State> {
    states
        .iter()
        .find(|state| state.is_default)
        .or_else(|| first_state(states, Status::Open))
}

/// The first column of a meaning.
pub(crate) fn first_state(states: &[State], status: Status) -> Option<&State> {
    states
        .iter()
        .filter(|state| state.status == status)
        .min_by_key(|state| (state.position, state.name.as_str()))
}

/// `ABC-123`.
pub(crate) fn human_key(project_key: &str, number: i64) -> String {
    format!("{project_key}-{number}")
}

/// The parts of a human key: the project's key in upper case and the number.
pub(crate) fn parse_human_key(text: &str) -> Option<(String, i64)> {
    let (key, number) = text.trim().rsplit_once('-')?;
    let readable = !key.is_empty()
        && key.len() <= 16
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !number.starts_with('0')
        && number.bytes().all(|b| b.is_ascii_digit());
    readable.then(|| number.parse().ok().map(|number| (key.to_ascii_uppercase(), number)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn human_keys_round_trip_and_reject_what_is_none() {
        assert_eq!(parse_human_key(&human_key("ABC", 123)), Some(("ABC".into(), 123)));
        assert_eq!(parse_human_key(" abc-7 "), Some(("ABC".into(), 7)));
        for none in [
            "ABC",
            "ABC-",
            "-1",
            "ABC-01",
            "ABC-0",
            "ABC-x",
            "A B-1",
            "ABC-99999999999999999999",
            "é-1",
        ] {
            assert_eq!(parse_human_key(none), None, "{none}");
        }
    }

    #[test]
    fn priorities_keep_their_rank() {
        for rank in 0..5 {
            assert_eq!(Priority::from_rank(rank).map(Priority::rank), Some(rank));
        }
        assert_eq!(Priority::from_rank(5), None);
        assert!(Priority::Urgent > Priority::High && Priority::Low > Priority::None);
    }
}
