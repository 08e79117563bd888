//! What can go wrong, with stable codes.

use kernel::{Error, ErrorKind};
use platform::db::Guard;

/// Another entry of the same log, from another service, was written first; the delivery is repeated.
pub(crate) const LOG_GREW: Guard = Guard::conflict("audit.log.grew", "Another entry came first.");

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("There is no such workspace.")]
    WorkspaceNotFound,
    #[error("Your role does not allow this.")]
    Forbidden,
    #[error("Only administrators of the installation may do this.")]
    AdminOnly,
}

impl From<AuditError> for Error {
    fn from(error: AuditError) -> Self {
        use AuditError as E;
        let (kind, code) = match &error {
            E::WorkspaceNotFound => (ErrorKind::NotFound, "audit.workspace.not_found"),
            E::Forbidden => (ErrorKind::Forbidden, "audit.forbidden"),
            E::AdminOnly => (ErrorKind::Forbidden, "audit.admin_only"),
        };
        Self::new(kind, code, error.to_string())
    }
}
