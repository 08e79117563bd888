//! What can go wrong, with stable codes.

use kernel::{Error, ErrorKind};
use platform::db::Guard;

/// Nobody but its reader can tell whether a notification exists.
pub(crate) const NOT_FOUND: Guard = Guard::not_found("notifications.notification.not_found", "There is no such notification.");

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotificationsError {
    #[error("There is no such notification.")]
    NotificationNotFound,
    #[error("There is no such project.")]
    ProjectNotFound,
    #[error("There is no such task.")]
    TaskNotFound,
    #[error("You subscribed to or muted as many projects and tasks as one person may; take one back first.")]
    TooManySubscriptions,
    #[error("There is no such workspace.")]
    WorkspaceNotFound,
    #[error("This origin may not open a live event stream.")]
    OriginNotAllowed,
    #[error("You hold as many live event streams open as one person may; close one first.")]
    TooManyStreams,
    #[error("This server holds as many live event streams open as it can; try again shortly.")]
    NoStreamLeft,
}

impl From<NotificationsError> for Error {
    fn from(error: NotificationsError) -> Self {
        let (kind, code) = match &error {
            NotificationsError::NotificationNotFound => (ErrorKind::NotFound, NOT_FOUND.code),
            NotificationsError::ProjectNotFound => (ErrorKind::NotFound, "notifications.project.not_found"),
            NotificationsError::TaskNotFound => (ErrorKind::NotFound, "notifications.task.not_found"),
            NotificationsError::TooManySubscriptions => (ErrorKind::Conflict, "notifications.subscription.too_many"),
            NotificationsError::WorkspaceNotFound => (ErrorKind::NotFound, "notifications.workspace.not_found"),
            NotificationsError::OriginNotAllowed => (ErrorKind::Forbidden, "notifications.stream.origin_not_allowed"),
            NotificationsError::TooManyStreams => (ErrorKind::RateLimited, "notifications.stream.too_many"),
            NotificationsError::NoStreamLeft => (ErrorKind::Unavailable, "notifications.stream.unavailable"),
        };
        let built = Self::new(kind, code, error.to_string());
        match error {
            NotificationsError::TooManyStreams | NotificationsError::NoStreamLeft => {
                built.with_retry_after(std::time::Duration::from_secs(10))
            }
            _ => built,
        }
    }
}
