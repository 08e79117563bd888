//! What other services may ask.

use async_trait::async_trait;
use contracts::flags::{BooleanEvaluation, EvaluateBoolean, Flags};
use kernel::{CallContext, Result};

use crate::FlagsService;
use crate::model::{Context, ErrorCode};

impl FlagsService {
    async fn boolean(&self, request: &EvaluateBoolean) -> Result<BooleanEvaluation, ErrorCode> {
        let context = Context {
            targeting_key: request.user_id.map(|id| id.to_string()),
            workspace_id: request.workspace_id,
        };
        let evaluated = self.evaluate_one(&request.key, &context).await.map_err(|error| {
            tracing::warn!(code = %error.code, "flags cannot be read; defaults count");
            ErrorCode::General
        })?;
        let found = evaluated.outcome.map_err(|failure| failure.code)?;
        Ok(BooleanEvaluation {
            value: found.value.as_bool().ok_or(ErrorCode::TypeMismatch)?,
            reason: found.reason.as_str().to_owned(),
            variant: Some(found.variant),
            error_code: None,
        })
    }
}

#[async_trait]
impl Flags for FlagsService {
    async fn evaluate_boolean(&self, _: &CallContext, request: EvaluateBoolean) -> Result<BooleanEvaluation> {
        Ok(self.boolean(&request).await.unwrap_or_else(|code| BooleanEvaluation {
            value: request.default,
            reason: "ERROR".to_owned(),
            variant: None,
            error_code: Some(code.as_str().to_owned()),
        }))
    }
}
