//! What can go wrong, with stable codes. Errors of an evaluation are OpenFeature's: [`crate::model::ErrorCode`].

use kernel::{Error, ErrorKind};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagsError {
    #[error("Only administrators of the installation may do this.")]
    AdminOnly,
    #[error("There is no such flag.")]
    FlagNotFound,
    #[error("A flag with this key exists already.")]
    FlagExists,
    #[error("There are as many flags as there may be.")]
    TooMany,
}

impl From<FlagsError> for Error {
    fn from(error: FlagsError) -> Self {
        use FlagsError as E;
        let (kind, code) = match &error {
            E::AdminOnly => (ErrorKind::Forbidden, "flags.admin_only"),
            E::FlagNotFound => (ErrorKind::NotFound, "flags.flag.not_found"),
            E::FlagExists => (ErrorKind::Conflict, "flags.flag.exists"),
            E::TooMany => (ErrorKind::Conflict, "flags.flag.too_many"),
        };
        Self::new(kind, code, error.to_string())
    }
}
