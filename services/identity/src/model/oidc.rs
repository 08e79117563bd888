//! OpenID Connect Core 1.0, the authorization code flow as a relying party: what a provider says, held against what it must say.

pub(crate) mod claims;
pub(crate) mod discovery;
pub(crate) mod flow;
pub(crate) mod keys;

/// What a provider said cannot be believed, and why. For the log alone: it is no business of whoever tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Untrusted(pub(crate) &'static str);
