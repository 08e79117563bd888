//! A flag and the rules of its definition.

use std::collections::BTreeSet;

use kernel::FieldError;
use kernel::Timestamp;
use kernel::ids::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) const MAX_VARIANTS: usize = 50;
pub(crate) const MAX_RULES: usize = 50;
/// Workspaces, or targeting keys, of one rule.
pub(crate) const MAX_NAMED: usize = 500;
pub(crate) const MAX_KEY_CHARS: usize = 128;
const MAX_VARIANT_CHARS: usize = 64;
const MAX_DESCRIPTION_CHARS: usize = 500;
pub(crate) const MAX_TARGETING_KEY_CHARS: usize = 256;
/// Of variants, rules and all, as JSON.
const MAX_DEFINITION_BYTES: usize = 64 * 1024;

/// The type of a flag's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlagKind {
    Boolean,
    String,
    /// A whole number that every language holds exactly.
    Integer,
    /// Whole or a fraction.
    Number,
    Object,
}

/// JavaScript's safe integers (RFC 8259, 6).
const MAX_INTEGER: u64 = (1 << 53) - 1;

impl FlagKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Object => "object",
        }
    }

    /// With its article.
    const fn described(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::String => "a string",
            Self::Integer => "an integer between -9007199254740991 and 9007199254740991",
            Self::Number => "a number",
            Self::Object => "an object",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Boolean, Value::Bool(_))
            | (Self::String, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Object, Value::Object(_)) => true,
            (Self::Integer, Value::Number(number)) => number.as_i64().is_some_and(|number| number.unsigned_abs() <= MAX_INTEGER),
            _ => false,
        }
    }
}

impl std::str::FromStr for FlagKind {
    type Err = kernel::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Boolean, Self::String, Self::Integer, Self::Number, Self::Object]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| kernel::Error::internal(format!("unknown kind of flag {text:?}")))
    }
}

/// A part of those whom a rule is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlagShare {
    #[schema(example = "on")]
    pub variant: String,
    /// Of those whom the rule is for; the shares of a rule make 100. Three decimals count.
    #[schema(minimum = 0, maximum = 100, example = 25)]
    pub percent: f64,
}

impl FlagShare {
    /// In thousandths of a percent.
    pub fn weight(&self) -> u32 {
        let thousandths = (self.percent * 1_000.0).round().clamp(0.0, 100_000.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounded, and clamped to 0..=100000 in the line above"
        )]
        let weight = thousandths as u32;
        weight
    }
}

/// What is hashed to choose a share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BucketBy {
    /// Each person (or whatever the targeting key names) by themselves.
    #[default]
    TargetingKey,
    /// A workspace as a whole.
    Workspace,
}

/// Whom it is for, and what they get: a `variant`, or a `split`. Without `workspace_ids` and `targeting_keys` it is for everybody; with
/// both, both must fit. An empty list is refused: for nobody or for everybody, it would be a guess.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlagRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 500)]
    pub workspace_ids: Option<Vec<WorkspaceId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 500)]
    pub targeting_keys: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub split: Vec<FlagShare>,
    #[serde(default)]
    pub bucket_by: BucketBy,
}

/// What is decided, apart from whether the flag is enabled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Definition {
    /// Values by the names of their variants.
    pub variants: Map<String, Value>,
    pub default_variant: String,
    /// The first that fits counts.
    pub rules: Vec<FlagRule>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flag {
    pub key: String,
    pub kind: FlagKind,
    pub description: Option<String>,
    pub enabled: bool,
    /// `Err`: the text is no definition; only damage or a hand in the database makes that.
    pub definition: Result<Definition, String>,
    pub version: i64,
    pub updated_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// `on` and `off`, for a boolean flag of which no more is said.
pub(crate) fn switch() -> Map<String, Value> {
    Map::from_iter([("off".to_owned(), Value::Bool(false)), ("on".to_owned(), Value::Bool(true))])
}

pub(crate) fn is_key(key: &str) -> bool {
    let first = key.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    first && rest && key.len() <= MAX_KEY_CHARS
}

pub(crate) fn check_key(key: &str, errors: &mut Vec<FieldError>) {
    if !is_key(key) {
        let detail =
            format!("must have 1 to {MAX_KEY_CHARS} letters (a to z), digits, dots, dashes and underscores, a letter or digit first");
        errors.push(FieldError::new("/key", "invalid_key", detail));
    }
}

/// Trimmed; `None` when nothing is left.
pub(crate) fn parse_description(text: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let text = text.trim();
    if text.chars().count() > MAX_DESCRIPTION_CHARS {
        let detail = format!("must have at most {MAX_DESCRIPTION_CHARS} characters");
        errors.push(FieldError::new("/description", "too_long", detail));
    }
    if text.chars().any(char::is_control) {
        errors.push(FieldError::new(
            "/description",
            "control_character",
            "must be one line without control characters",
        ));
    }
    (!text.is_empty()).then(|| text.to_owned())
}

impl Definition {
    /// Everything that is wrong with it.
    pub fn check(&self, kind: FlagKind, errors: &mut Vec<FieldError>) {
        let mut wrong = |pointer: String, code: &'static str, detail: String| errors.push(FieldError::new(pointer, code, detail));
        if !(1..=MAX_VARIANTS).contains(&self.variants.len()) {
            wrong("/variants".into(), "out_of_range", format!("must be 1 to {MAX_VARIANTS} variants"));
        }
        for (name, value) in self.variants.iter().take(MAX_VARIANTS) {
            let good =
                (1..=MAX_VARIANT_CHARS).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !good {
                let detail = format!("names have 1 to {MAX_VARIANT_CHARS} letters, digits, dots, dashes and underscores");
                wrong("/variants".into(), "invalid_name", detail);
            } else if !kind.fits(value) {
                wrong(format!("/variants/{name}"), "wrong_type", format!("must be {}", kind.described()));
            }
        }
        if !self.variants.contains_key(&self.default_variant) {
            wrong("/default_variant".into(), "unknown_variant", "is none of the variants".into());
        }
        if self.rules.len() > MAX_RULES {
            wrong("/rules".into(), "too_many", format!("must be at most {MAX_RULES} rules"));
        }
        if serde_json::to_vec(self).map_or(usize::MAX, |json| json.len()) > MAX_DEFINITION_BYTES {
            let detail = format!("variants and rules must be at most {MAX_DEFINITION_BYTES} bytes in all");
            wrong("/variants".into(), "too_large", detail);
        }
        for (index, rule) in self.rules.iter().take(MAX_RULES).enumerate() {
            self.check_rule(&format!("/rules/{index}"), rule, errors);
        }
    }

    fn check_rule(&self, place: &str, rule: &FlagRule, errors: &mut Vec<FieldError>) {
        let mut wrong = |at: &str, code: &'static str, detail: String| errors.push(FieldError::new(format!("{place}{at}"), code, detail));
        if rule.variant.is_some() != rule.split.is_empty() {
            wrong("", "one_of", "must have either a variant or a split".into());
        }
        if rule.variant.as_ref().is_some_and(|name| !self.variants.contains_key(name)) {
            wrong("/variant", "unknown_variant", "is none of the variants".into());
        }
        for (at, count) in [
            ("/workspace_ids", rule.workspace_ids.as_ref().map(Vec::len)),
            ("/targeting_keys", rule.targeting_keys.as_ref().map(Vec::len)),
        ] {
            if count.is_some_and(|count| !(1..=MAX_NAMED).contains(&count)) {
                let detail = format!("must name 1 to {MAX_NAMED}; leave it out of a rule for everybody");
                wrong(at, "out_of_range", detail);
            }
        }
        let long = |key: &String| key.is_empty() || key.chars().count() > MAX_TARGETING_KEY_CHARS;
        if rule.targeting_keys.iter().flatten().any(long) {
            let detail = format!("must each have 1 to {MAX_TARGETING_KEY_CHARS} characters");
            wrong("/targeting_keys", "invalid_length", detail);
        }
        if rule.split.is_empty() {
            return;
        }
        if rule.split.len() > MAX_VARIANTS {
            wrong("/split", "too_many", format!("must be at most {MAX_VARIANTS} shares"));
            return;
        }
        let names: BTreeSet<&str> = rule.split.iter().map(|share| share.variant.as_str()).collect();
        if names.len() < rule.split.len() {
            wrong("/split", "duplicate", "must name a variant once".into());
        }
        if names.iter().any(|name| !self.variants.contains_key(*name)) {
            wrong("/split", "unknown_variant", "names what is none of the variants".into());
        }
        if rule.split.iter().any(|share| !(0.0..=100.0).contains(&share.percent)) {
            wrong("/split", "out_of_range", "percentages lie between 0 and 100".into());
        } else if rule.split.iter().map(FlagShare::weight).sum::<u32>() != 100_000 {
            wrong("/split", "sum", "percentages must make 100".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(rules: Value) -> Definition {
        Definition {
            variants: switch(),
            default_variant: "off".into(),
            rules: serde_json::from_value(rules).expect("rules"),
        }
    }

    fn codes(definition: &Definition, kind: FlagKind) -> Vec<String> {
        let mut errors = Vec::new();
        definition.check(kind, &mut errors);
        errors.iter().map(|error| format!("{} {}", error.pointer, error.code)).collect()
    }

    #[test]
    fn what_is_wrong_with_a_definition_is_said_at_its_place() {
        let split = |shares: Value| definition(json!([{ "split": shares }]));
        for (definition, expected) in [
            (definition(json!([{ "variant": "on" }])), vec![]),
            (
                definition(json!([{ "variant": "maybe" }])),
                vec!["/rules/0/variant unknown_variant"],
            ),
            (definition(json!([{}])), vec!["/rules/0 one_of"]),
            (
                definition(json!([{ "variant": "on", "split": [{ "variant": "on", "percent": 100 }] }])),
                vec!["/rules/0 one_of"],
            ),
            (
                split(json!([{ "variant": "on", "percent": 0.001 }, { "variant": "off", "percent": 99.999 }])),
                vec![],
            ),
            (split(json!([{ "variant": "on", "percent": 99.9 }])), vec!["/rules/0/split sum"]),
            (
                split(json!([{ "variant": "on", "percent": 101 }])),
                vec!["/rules/0/split out_of_range"],
            ),
            (
                split(json!([{ "variant": "on", "percent": 50 }, { "variant": "on", "percent": 50 }])),
                vec!["/rules/0/split duplicate"],
            ),
            (
                definition(json!([{ "variant": "on", "targeting_keys": [""] }])),
                vec!["/rules/0/targeting_keys invalid_length"],
            ),
            (
                definition(json!([{ "variant": "on", "targeting_keys": [], "workspace_ids": [] }])),
                vec!["/rules/0/workspace_ids out_of_range", "/rules/0/targeting_keys out_of_range"],
            ),
            // However much is wrong, the answer stays short.
            (
                split(json!(vec![json!({ "variant": "on", "percent": 100 }); 60_000])),
                vec!["/variants too_large", "/rules/0/split too_many"],
            ),
            (definition(json!(vec![json!({ "variant": "on" }); 51])), vec!["/rules too_many"]),
        ] {
            assert_eq!(codes(&definition, FlagKind::Boolean), expected);
        }
        assert_eq!(
            codes(&definition(json!([])), FlagKind::String),
            ["/variants/off wrong_type", "/variants/on wrong_type"]
        );
        let whole = |value: Value| Definition {
            variants: Map::from_iter([("a".to_owned(), value)]),
            default_variant: "a".into(),
            rules: Vec::new(),
        };
        for good in [json!(0), json!(-7), json!(MAX_INTEGER)] {
            assert_eq!(codes(&whole(good), FlagKind::Integer), Vec::<String>::new());
        }
        for bad in [json!(0.5), json!("1"), json!(MAX_INTEGER + 1), json!(u64::MAX), json!(1e300)] {
            assert_eq!(codes(&whole(bad), FlagKind::Integer), ["/variants/a wrong_type"]);
        }
        let mut broken = definition(json!([]));
        broken.default_variant = "none".into();
        broken.variants.insert("ä".into(), json!(true));
        assert_eq!(
            codes(&broken, FlagKind::Boolean),
            ["/variants invalid_name", "/default_variant unknown_variant"]
        );
    }

    #[test]
    fn keys_are_plain_words() {
        for good in ["a", "A", "newEditor", "new-editor", "webhooks.creation", "9_lives"] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "-a", "a ", "a b", "ä", "a/b", &"a".repeat(129)] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}
