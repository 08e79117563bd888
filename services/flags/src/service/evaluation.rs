//! Evaluations asked for from outside.

use contracts::workspaces::GetMembership;
use kernel::Result;
use kernel::ids::WorkspaceId;
use platform::Caller;
use serde_json::{Map, Value};

use crate::FlagsService;
use crate::model::flag::MAX_TARGETING_KEY_CHARS;
use crate::model::{Context, ErrorCode, Evaluation, Failure, evaluate};

/// Name of the workspace among the fields of a context.
const WORKSPACE_FIELD: &str = "workspace_id";

/// A flag with what came of it.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub key: String,
    pub version: i64,
    pub outcome: Result<Evaluation, Failure>,
}

const NO_TEXT: Failure = Failure::new(ErrorCode::InvalidContext, "targetingKey must be a text.");
const LONG_KEY: Failure = Failure::new(ErrorCode::InvalidContext, "targetingKey must have 1 to 256 characters.");
const NOT_THEIRS: Failure = Failure::new(ErrorCode::InvalidContext, "workspace_id is no workspace of yours.");
const UNKNOWN: Failure = Failure::new(ErrorCode::FlagNotFound, "There is no such flag.");

impl FlagsService {
    /// What counts of a context. The inner error is the evaluation's; the outer that it could not be found out.
    pub(crate) async fn read_context(&self, caller: &Caller, fields: &Map<String, Value>) -> Result<Result<Context, Failure>> {
        let user_id = caller.user_id()?;
        let targeting_key = match fields.get("targetingKey") {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) if (1..=MAX_TARGETING_KEY_CHARS).contains(&key.chars().count()) => Some(key.clone()),
            Some(Value::String(_)) => return Ok(Err(LONG_KEY)),
            Some(_) => return Ok(Err(NO_TEXT)),
        };
        let workspace_id = match fields.get(WORKSPACE_FIELD) {
            None | Some(Value::Null) => None,
            Some(given) => {
                // Another's workspace answers as one that does not exist.
                let Some(workspace_id) = given.as_str().and_then(|text| text.parse::<WorkspaceId>().ok()) else {
                    return Ok(Err(NOT_THEIRS));
                };
                let request = GetMembership { user_id, workspace_id };
                if self.workspaces.get_membership(&caller.call(), request).await?.is_none() {
                    return Ok(Err(NOT_THEIRS));
                }
                Some(workspace_id)
            }
        };
        Ok(Ok(Context {
            targeting_key,
            workspace_id,
        }))
    }

    pub(crate) async fn evaluate_one(&self, key: &str, context: &Context) -> Result<Evaluated> {
        let flags = self.snapshots.get().await?;
        let flag = flags.get(key);
        Ok(Evaluated {
            key: key.to_owned(),
            version: flag.map_or(0, |flag| flag.version),
            outcome: flag.map_or(Err(UNKNOWN), |flag| evaluate(flag, context)),
        })
    }

    /// All flags, by key.
    pub(crate) async fn evaluate_all(&self, context: &Context) -> Result<Vec<Evaluated>> {
        let flags = self.snapshots.get().await?;
        let evaluated = flags.values().map(|flag| Evaluated {
            key: flag.key.clone(),
            version: flag.version,
            outcome: evaluate(flag, context),
        });
        Ok(evaluated.collect())
    }
}
