//! flags: feature flags of the installation, changed at run time.

use async_trait::async_trait;
use kernel::ids::{UserId, WorkspaceId};
use kernel::{CallContext, Result};
use serde::{Deserialize, Serialize};

/// Asks for the value of a boolean flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluateBoolean {
    pub key: String,
    /// What counts while nobody made such a flag, or it cannot be evaluated.
    pub default: bool,
    /// The targeting key.
    pub user_id: Option<UserId>,
    pub workspace_id: Option<WorkspaceId>,
}

/// A value with the reason for it, in the words of OpenFeature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BooleanEvaluation {
    pub value: bool,
    /// `STATIC`, `TARGETING_MATCH`, `SPLIT`, `DEFAULT`, `DISABLED`, or `ERROR` when `value` is the default that was given.
    pub reason: String,
    pub variant: Option<String>,
    /// Such as `FLAG_NOT_FOUND` or `TYPE_MISMATCH`.
    pub error_code: Option<String>,
}

#[async_trait]
pub trait Flags: Send + Sync + 'static {
    /// Never fails for the sake of a flag: what cannot be evaluated has its default.
    async fn evaluate_boolean(&self, ctx: &CallContext, request: EvaluateBoolean) -> Result<BooleanEvaluation>;
}
