//! What can go wrong, with stable codes.

use kernel::{Error, ErrorKind, Timestamp};
use platform::db::Guard;

/// A delivery was replayed, given up or sent by another replica meanwhile; what we did with it does not count.
pub(crate) const MOVED_ON: Guard = Guard::conflict("webhooks.delivery.moved_on", "The delivery has changed meanwhile.");

pub(crate) const TOO_MANY: Guard = Guard::conflict("webhooks.webhook.too_many", "The workspace has as many webhooks as it may have.");

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WebhooksError {
    #[error("There is no such workspace.")]
    WorkspaceNotFound,
    #[error("Your role does not allow this.")]
    Forbidden,
    #[error("There is no such webhook.")]
    WebhookNotFound,
    #[error("There is no such delivery.")]
    DeliveryNotFound,
    #[error("Webhooks are not offered here.")]
    NotOffered,
    #[error("The webhook is disabled; enable it first.")]
    Disabled,
    #[error(
        "So many replaced secrets still sign that one more would not fit; rotate again after {until}, or end them all with expire_old_secrets."
    )]
    TooManySecrets {
        /// When the first of them ends.
        until: Timestamp,
    },
}

impl From<WebhooksError> for Error {
    fn from(error: WebhooksError) -> Self {
        use WebhooksError as E;
        let (kind, code) = match &error {
            E::WorkspaceNotFound => (ErrorKind::NotFound, "webhooks.workspace.not_found"),
            E::Forbidden => (ErrorKind::Forbidden, "webhooks.forbidden"),
            E::WebhookNotFound => (ErrorKind::NotFound, "webhooks.webhook.not_found"),
            E::DeliveryNotFound => (ErrorKind::NotFound, "webhooks.delivery.not_found"),
            E::NotOffered => (ErrorKind::Forbidden, "webhooks.not_offered"),
            E::Disabled => (ErrorKind::Conflict, "webhooks.webhook.disabled"),
            E::TooManySecrets { .. } => (ErrorKind::Conflict, "webhooks.webhook.too_many_secrets"),
        };
        Self::new(kind, code, error.to_string())
    }
}
