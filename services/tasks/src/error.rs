//! What can go wrong in the domain: one enum, each with a kind and a stable code.

use kernel::{Error, ErrorKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TasksError {
    #[error("There is no such task.")]
    TaskNotFound,
    #[error("There is no such project.")]
    ProjectNotFound,
    #[error("There is no such workspace.")]
    WorkspaceNotFound,
    #[error("There is no such comment.")]
    CommentNotFound,
    #[error("There is no such label.")]
    LabelNotFound,
    #[error("There is no such state.")]
    StateNotFound,
    #[error("There is no such member.")]
    AssigneeNotFound,
    #[error("Your role does not allow this.")]
    Forbidden,
    #[error("Only its author can edit a comment.")]
    NotAuthor,
    #[error("The project is archived; unarchive it first.")]
    ProjectArchived,
    #[error("The task is archived; unarchive it first.")]
    TaskArchived,
    #[error("The task is not deleted; delete it first.")]
    TaskNotDeleted,
    #[error("The time to restore it is over.")]
    RestoreTimeOver,
    #[error("The parent task is deleted; restore it first.")]
    ParentDeleted,
    #[error("The task has too many sub-tasks to be deleted or restored at once; delete some of them first.")]
    SubtreeTooLarge,
    #[error("There is no room between these neighbours; move one of them first.")]
    NoRoom,
    #[error("There is no such kind of relation.")]
    UnknownRelation,
    #[error("A task cannot be related to itself.")]
    RelatedToItself,
    #[error("The relation would close a cycle.")]
    RelationCycle,
    #[error("One of the tasks has as many relations as a task can have.")]
    TooManyRelations,
    #[error("Too many tasks hang together by such relations to find out whether this one closes a cycle.")]
    RelationGraphTooLarge,
    #[error("The task does not recur.")]
    RecurrenceNotFound,
    #[error("Only a task that is due can recur.")]
    RecurrenceNeedsDue,
    #[error("The series has gone on to another task; change that one.")]
    RecurrenceNotCurrent,
    #[error("The task is closed; the next one of its series comes by itself.")]
    RecurrenceDone,
    #[error("The series has no further occurrence.")]
    RecurrenceOver,
    #[error("There is no such feed.")]
    FeedNotFound,
    #[error("You have as many feeds as one can have; revoke one first.")]
    TooManyFeeds,
    #[error("There is no such view.")]
    ViewNotFound,
    #[error("Only who made a shared view can make it personal.")]
    NotViewOwner,
    #[error("There are as many views as there can be.")]
    TooManyViews,
    #[error("The view was saved by an older version and cannot be read any more; save its query anew.")]
    ViewUnreadable,
    #[error("Tasks are in this state; move them first.")]
    StateInUse,
    #[error("The default state cannot be deleted; make another one the default first.")]
    StateIsDefault,
    #[error("The workspace has as many states as it can have.")]
    TooManyStates,
    #[error("The workspace has as many labels as it can have.")]
    TooManyLabels,
}

impl TasksError {
    const fn parts(self) -> (ErrorKind, &'static str) {
        use ErrorKind::{Conflict, Forbidden, Gone, NotFound};
        match self {
            Self::TaskNotFound => (NotFound, "tasks.task.not_found"),
            Self::ProjectNotFound => (NotFound, "tasks.project.not_found"),
            Self::WorkspaceNotFound => (NotFound, "tasks.workspace.not_found"),
            Self::CommentNotFound => (NotFound, "tasks.comment.not_found"),
            Self::LabelNotFound => (NotFound, "tasks.label.not_found"),
            Self::StateNotFound => (NotFound, "tasks.state.not_found"),
            Self::AssigneeNotFound => (NotFound, "tasks.assignee.not_found"),
            Self::Forbidden => (Forbidden, "tasks.forbidden"),
            Self::NotAuthor => (Forbidden, "tasks.comment.not_author"),
            Self::ProjectArchived => (Conflict, "tasks.project.archived"),
            Self::TaskArchived => (Conflict, "tasks.task.archived"),
            Self::TaskNotDeleted => (Conflict, "tasks.task.not_deleted"),
            Self::RestoreTimeOver => (Gone, "tasks.restore.too_late"),
            Self::ParentDeleted => (Conflict, "tasks.task.parent_deleted"),
            Self::SubtreeTooLarge => (Conflict, "tasks.task.subtree_too_large"),
            Self::NoRoom => (Conflict, "tasks.task.no_room"),
            Self::UnknownRelation => (NotFound, "tasks.relation.unknown"),
            Self::RelatedToItself => (Conflict, "tasks.relation.to_itself"),
            Self::RelationCycle => (Conflict, "tasks.relation.cycle"),
            Self::TooManyRelations => (Conflict, "tasks.relation.too_many"),
            Self::RelationGraphTooLarge => (Conflict, "tasks.relation.graph_too_large"),
            Self::RecurrenceNotFound => (NotFound, "tasks.recurrence.not_found"),
            Self::RecurrenceNeedsDue => (Conflict, "tasks.recurrence.due_required"),
            Self::RecurrenceNotCurrent => (Conflict, "tasks.recurrence.not_current"),
            Self::RecurrenceDone => (Conflict, "tasks.recurrence.done"),
            Self::RecurrenceOver => (Conflict, "tasks.recurrence.over"),
            Self::FeedNotFound => (NotFound, "tasks.feed.not_found"),
            Self::TooManyFeeds => (Conflict, "tasks.feed.too_many"),
            Self::ViewNotFound => (NotFound, "tasks.view.not_found"),
            Self::NotViewOwner => (Forbidden, "tasks.view.not_owner"),
            Self::TooManyViews => (Conflict, "tasks.view.too_many"),
            Self::ViewUnreadable => (Conflict, "tasks.view.unreadable"),
            Self::StateInUse => (Conflict, "tasks.state.in_use"),
            Self::StateIsDefault => (Conflict, "tasks.state.is_default"),
            Self::TooManyStates => (Conflict, "tasks.state.too_many"),
            Self::TooManyLabels => (Conflict, "tasks.label.too_many"),
        }
    }
}

impl From<TasksError> for Error {
    fn from(error: TasksError) -> Self {
        let (kind, code) = error.parts();
        Self::new(kind, code, error.to_string())
    }
}
