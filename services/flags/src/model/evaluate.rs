//! The evaluation of a flag, with the reasons and error codes of OpenFeature
//! (<https://openfeature.dev/specification/types>).

use kernel::ids::{EntityId, WorkspaceId};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{BucketBy, Flag, FlagRule, FlagShare};

/// Whom a flag is evaluated for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Context {
    pub targeting_key: Option<String>,
    /// One that the caller belongs to.
    pub workspace_id: Option<WorkspaceId>,
}

/// Why a value was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The flag has no rules.
    Static,
    /// A rule fits.
    TargetingMatch,
    /// A rule fits, and chose by percentage.
    Split,
    /// No rule fits.
    Default,
    /// The flag is disabled.
    Disabled,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Split => "SPLIT",
            Self::Default => "DEFAULT",
            Self::Disabled => "DISABLED",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    FlagNotFound,
    ParseError,
    TargetingKeyMissing,
    InvalidContext,
    /// A value of another type than the asking code expects.
    TypeMismatch,
    /// The flags could not be read.
    General,
}

impl ErrorCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::ParseError => "PARSE_ERROR",
            Self::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::General => "GENERAL",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: ErrorCode,
    /// For people.
    pub details: &'static str,
}

impl Failure {
    pub const fn new(code: ErrorCode, details: &'static str) -> Self {
        Self { code, details }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evaluation {
    pub value: Value,
    pub variant: String,
    pub reason: Reason,
}

pub(crate) fn evaluate(flag: &Flag, context: &Context) -> Result<Evaluation, Failure> {
    let definition = flag
        .definition
        .as_ref()
        .map_err(|_| Failure::new(ErrorCode::ParseError, "The definition of the flag cannot be read."))?;
    let default = definition.default_variant.as_str();
    let (variant, reason) = if flag.enabled {
        match definition.rules.iter().find(|rule| rule.is_for(context)) {
            Some(rule) => rule.choose(&flag.key, context)?,
            None if definition.rules.is_empty() => (default, Reason::Static),
            None => (default, Reason::Default),
        }
    } else {
        (default, Reason::Disabled)
    };
    let value = definition
        .variants
        .get(variant)
        .ok_or_else(|| Failure::new(ErrorCode::ParseError, "The flag names a variant that it does not have."))?;
    Ok(Evaluation {
        value: value.clone(),
        variant: variant.to_owned(),
        reason,
    })
}

impl FlagRule {
    fn is_for(&self, context: &Context) -> bool {
        let (id, key) = (context.workspace_id.as_ref(), context.targeting_key.as_ref());
        let workspace = self.workspace_ids.as_ref().is_none_or(|ids| id.is_some_and(|id| ids.contains(id)));
        let key = self
            .targeting_keys
            .as_ref()
            .is_none_or(|keys| key.is_some_and(|key| keys.contains(key)));
        // Outside any workspace there is none to be counted as a whole.
        let counted = self.split.is_empty() || self.bucket_by != BucketBy::Workspace || context.workspace_id.is_some();
        workspace && key && counted
    }

    fn choose(&self, flag_key: &str, context: &Context) -> Result<(&str, Reason), Failure> {
        if let Some(variant) = &self.variant {
            return Ok((variant, Reason::TargetingMatch));
        }
        let unit = match (self.bucket_by, context.workspace_id, &context.targeting_key) {
            (BucketBy::Workspace, Some(id), _) => id.uuid().to_string(),
            (BucketBy::TargetingKey, _, Some(key)) => key.clone(),
            _ => {
                let details = "The flag is given by percentage, which takes a targetingKey.";
                return Err(Failure::new(ErrorCode::TargetingKeyMissing, details));
            }
        };
        let bucket = bucket(flag_key, &unit);
        let mut end = 0;
        let share = self.split.iter().find(|share| {
            end += share.weight();
            bucket < end
        });
        // The shares make 100, so the last one takes whoever is left.
        let share: Option<&FlagShare> = share.or(self.split.last());
        share
            .map(|share| (share.variant.as_str(), Reason::Split))
            .ok_or_else(|| Failure::new(ErrorCode::ParseError, "The flag has a rule without a variant."))
    }
}

/// Where `unit` stands among the 100,000 parts of everybody: the same for ever and on every replica, by its own dice for
/// each flag, and evenly spread.
fn bucket(flag_key: &str, unit: &str) -> u32 {
    let digest = Sha256::new()
        .chain_update((flag_key.len() as u64).to_be_bytes())
        .chain_update(flag_key)
        .chain_update(unit)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let scaled = (u128::from(u64::from_be_bytes(first)) * 100_000) >> 64;
    // Below 100,000 by its making.
    u32::try_from(scaled).unwrap_or(99_999)
}

#[cfg(test)]
mod tests {
    use kernel::Timestamp;
    use kernel::ids::{UserId, Uuid};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::flag::switch;
    use crate::model::{Definition, FlagKind};

    fn flag(rules: Value) -> Flag {
        Flag {
            key: "new-editor".into(),
            kind: FlagKind::Boolean,
            description: None,
            enabled: true,
            definition: Ok(Definition {
                variants: switch(),
                default_variant: "off".into(),
                rules: serde_json::from_value(rules).expect("rules"),
            }),
            version: 1,
            updated_by: UserId::from_uuid(Uuid::nil()),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    fn person(key: &str) -> Context {
        Context {
            targeting_key: Some(key.to_owned()),
            workspace_id: None,
        }
    }

    fn percent(on: f64) -> Flag {
        flag(json!([{ "split": [{ "variant": "on", "percent": on }, { "variant": "off", "percent": 100.0 - on }] }]))
    }

    fn is_on(flag: &Flag, context: &Context) -> bool {
        evaluate(flag, context).expect("evaluated").value == json!(true)
    }

    #[test]
    fn the_reason_says_how_the_value_came_about() {
        let workspace = WorkspaceId::from_uuid(Uuid::from_u128(7));
        let inside = Context {
            targeting_key: None,
            workspace_id: Some(workspace),
        };
        let told = |flag: &Flag, context: &Context| evaluate(flag, context).map(|found| (found.variant, found.reason.as_str()));
        let of = |variant: &str, reason: &'static str| Ok((variant.to_owned(), reason));
        assert_eq!(told(&flag(json!([])), &Context::default()), of("off", "STATIC"));
        let rules = flag(json!([
            { "workspace_ids": [workspace], "variant": "on" },
            { "targeting_keys": ["ada"], "split": [{ "variant": "on", "percent": 100 }] },
        ]));
        assert_eq!(told(&rules, &inside), of("on", "TARGETING_MATCH"));
        assert_eq!(told(&rules, &person("ada")), of("on", "SPLIT"));
        assert_eq!(told(&rules, &person("ben")), of("off", "DEFAULT"));
        assert_eq!(told(&rules, &Context::default()), of("off", "DEFAULT"));
        let disabled = Flag { enabled: false, ..rules };
        assert_eq!(told(&disabled, &inside), of("off", "DISABLED"));

        let code = |flag: &Flag, context: &Context| evaluate(flag, context).expect_err("refused").code.as_str();
        assert_eq!(code(&percent(50.0), &inside), "TARGETING_KEY_MISSING");
        let damaged = Flag {
            definition: Err("damage".into()),
            ..percent(50.0)
        };
        assert_eq!(code(&damaged, &inside), "PARSE_ERROR");
    }

    #[test]
    fn a_workspace_can_be_counted_as_a_whole() {
        let rules =
            flag(json!([{ "bucket_by": "workspace", "split": [{ "variant": "on", "percent": 50 }, { "variant": "off", "percent": 50 }] }]));
        let context = |workspace: u128, key: &str| Context {
            targeting_key: Some(key.to_owned()),
            workspace_id: Some(WorkspaceId::from_uuid(Uuid::from_u128(workspace))),
        };
        let on = (0..200).filter(|workspace| is_on(&rules, &context(*workspace, "a"))).count();
        assert!((60..140).contains(&on), "{on} of 200 workspaces");
        assert!((0..200).all(|workspace| is_on(&rules, &context(workspace, "a")) == is_on(&rules, &context(workspace, "b"))));
        assert_eq!(evaluate(&rules, &person("a")).expect("evaluated").reason, Reason::Default);
    }

    #[test]
    fn shares_are_as_large_as_they_say_and_differ_from_flag_to_flag() {
        let quarter = percent(25.0);
        let other = Flag {
            key: "other".into(),
            ..percent(25.0)
        };
        let people: Vec<Context> = (0..20_000).map(|n| person(&format!("user-{n}"))).collect();
        let on = people.iter().filter(|context| is_on(&quarter, context)).count();
        assert!((4_700..5_300).contains(&on), "{on} of 20000");
        let both = people
            .iter()
            .filter(|context| is_on(&quarter, context) && is_on(&other, context))
            .count();
        assert!((1_050..1_450).contains(&both), "{both} of 20000 by two independent dice");
    }

    #[test]
    fn the_dice_never_change() {
        // Were these to change, everybody's flags would be dealt anew by an upgrade.
        assert_eq!(
            [bucket("new-editor", "ada"), bucket("new-editor", "ben"), bucket("b", "ada")],
            [64192, 54142, 33668]
        );
    }

    proptest! {
        #[test]
        fn who_has_a_feature_keeps_it_when_its_share_grows(key in ".{1,40}", small in 0_u32..=100_000, more in 0_u32..=100_000) {
            let (small, large) = (f64::from(small.min(more)) / 1_000.0, f64::from(small.max(more)) / 1_000.0);
            let context = person(&key);
            prop_assert!(!is_on(&percent(small), &context) || is_on(&percent(large), &context));
            prop_assert!(!is_on(&percent(0.0), &context) && is_on(&percent(100.0), &context));
        }
    }
}
