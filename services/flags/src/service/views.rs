//! What the API shows.

use kernel::Timestamp;
use kernel::ids::UserId;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::model::{Flag, FlagKind, FlagRule};

/// A feature flag.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "key": "new-editor", "kind": "boolean", "description": "The editor of 2027", "enabled": true,
    "variants": { "off": false, "on": true }, "default_variant": "off",
    "rules": [{ "split": [{ "variant": "on", "percent": 25.0 }, { "variant": "off", "percent": 75.0 }], "bucket_by": "workspace" }],
    "updated_by": "0199b1f0-3c5d-7e42-9c53-3f6f7f0d2a12", "created_at": "2026-11-21T15:04:05Z", "updated_at": "2026-11-21T15:04:05Z", "version": 1
}))]
pub(crate) struct FlagView {
    #[schema(example = "new-editor")]
    pub key: String,
    pub kind: FlagKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A disabled flag has the value of its default variant for everybody.
    pub enabled: bool,
    /// Values by name.
    #[schema(value_type = Object)]
    pub variants: Map<String, Value>,
    /// For whom no rule is.
    pub default_variant: String,
    /// The first that fits counts.
    pub rules: Vec<FlagRule>,
    /// Whoever changed it last.
    pub updated_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Also in `ETag`.
    pub version: i64,
}

impl From<Flag> for FlagView {
    /// Of a damaged definition nothing is shown; a change mends it.
    fn from(flag: Flag) -> Self {
        let (variants, default_variant, rules) = flag.definition.map_or_else(
            |_| (Map::new(), String::new(), Vec::new()),
            |definition| (definition.variants, definition.default_variant, definition.rules),
        );
        Self {
            key: flag.key,
            kind: flag.kind,
            description: flag.description,
            enabled: flag.enabled,
            variants,
            default_variant,
            rules,
            updated_by: flag.updated_by,
            created_at: flag.created_at,
            updated_at: flag.updated_at,
            version: flag.version,
        }
    }
}
