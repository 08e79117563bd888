use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tools and resources for assistants (Model Context Protocol).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Answers at `/mcp`. Whoever asks there may do what the same token or API key may do at `/v1`, and nothing else.
    pub enabled: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true }
    }
}
