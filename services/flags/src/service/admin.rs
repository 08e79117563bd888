//! Making, changing and deleting flags: for those who manage the installation.

use contracts::audit::{Action, Entry, Log};
use kernel::cursor::{Page, PageRequest};
use kernel::{Error, FieldError, Result};
use platform::Caller;
use platform::db::{Reply, Unit};
use platform::http::{Field, IfMatch};
use serde_json::{Map, Value};

use super::MAX_FLAGS;
use super::views::FlagView;
use crate::FlagsService;
use crate::error::FlagsError;
use crate::model::flag::{check_key, is_key, parse_description, switch};
use crate::model::{Definition, Flag, FlagKind, FlagRule};
use crate::store::flags as store;

#[derive(Debug, Clone)]
pub(crate) struct CreateFlag {
    pub key: String,
    pub kind: FlagKind,
    pub description: Option<String>,
    pub enabled: bool,
    /// `on` and `off` of a boolean flag when left out.
    pub variants: Option<Map<String, Value>>,
    pub default_variant: Option<String>,
    pub rules: Vec<FlagRule>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateFlag {
    pub description: Field<String>,
    pub enabled: Field<bool>,
    pub variants: Field<Map<String, Value>>,
    pub default_variant: Field<String>,
    pub rules: Field<Vec<FlagRule>>,
}

fn entry(flag: &Flag, action: Action) -> Entry {
    Entry::new(Log::Installation, action, "flag").id(&flag.key)
}

fn authorise(caller: &Caller) -> Result<()> {
    caller.user_id()?;
    if caller.instance_admin {
        Ok(())
    } else {
        Err(FlagsError::AdminOnly.into())
    }
}

impl FlagsService {
    pub(crate) async fn list_flags(&self, caller: &Caller, page: PageRequest) -> Result<Page<FlagView>> {
        authorise(caller)?;
        let binding = format!("flags|{}", caller.user_id()?);
        let after: Option<String> = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let rows = store::list(&self.db, store::page(after.as_deref(), page.rows())).await?;
        let page = self.toolkit.cursors.page(rows, page.limit, &binding, |flag| flag.key.clone())?;
        Ok(page.map(FlagView::from))
    }

    async fn flag(&self, caller: &Caller, key: &str) -> Result<Flag> {
        authorise(caller)?;
        // An engine may overlook blanks at the end of a text; a key has none.
        if !is_key(key) {
            return Err(FlagsError::FlagNotFound.into());
        }
        Ok(store::find(&self.db, key).await?.ok_or(FlagsError::FlagNotFound)?)
    }

    pub(crate) async fn get_flag(&self, caller: &Caller, key: &str) -> Result<Reply<FlagView>> {
        let flag = self.flag(caller, key).await?;
        let version = flag.version;
        Ok(Reply::ok(flag.into(), version))
    }

    pub(crate) async fn create_flag(&self, caller: &Caller, command: CreateFlag) -> Result<Reply<FlagView>> {
        authorise(caller)?;
        let mut errors = Vec::new();
        check_key(&command.key, &mut errors);
        let description = command.description.and_then(|text| parse_description(&text, &mut errors));
        let boolean = command.kind == FlagKind::Boolean;
        if command.variants.is_none() && !boolean {
            errors.push(FieldError::new("/variants", "required", "is required"));
        }
        let own_variants = command.variants.is_some();
        let variants = command.variants.unwrap_or_else(|| if boolean { switch() } else { Map::new() });
        let default_variant = match command.default_variant {
            Some(name) => name,
            None if boolean && !own_variants => "off".to_owned(),
            None => {
                errors.push(FieldError::new("/default_variant", "required", "is required"));
                String::new()
            }
        };
        let definition = Definition {
            variants,
            default_variant,
            rules: command.rules,
        };
        // Without its values there is nothing to hold the rest against.
        if !definition.variants.is_empty() || own_variants {
            definition.check(command.kind, &mut errors);
        }
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        if store::find(&self.db, &command.key).await?.is_some() {
            return Err(FlagsError::FlagExists.into());
        }
        if store::count(&self.db).await? >= i64::from(MAX_FLAGS) {
            return Err(FlagsError::TooMany.into());
        }
        let flag = Flag {
            key: command.key,
            kind: command.kind,
            description,
            enabled: command.enabled,
            definition: Ok(definition),
            version: 1,
            updated_by: caller.user_id()?,
            created_at: caller.now,
            updated_at: caller.now,
        };
        let mut unit = Unit::new(caller);
        store::insert(&mut unit, &flag);
        unit.record(
            entry(&flag, Action::FlagCreated)
                .with("kind", flag.kind)
                .with("enabled", flag.enabled)
                .with("definition", flag.definition.as_ref().ok()),
        );
        let location = format!("/v1/flags/{}", flag.key);
        let view = FlagView::from(flag);
        let reply = self.db.apply_reply(unit, move |_| Ok(Reply::created(view, 1, location))).await;
        self.snapshots.forget();
        reply.map_err(|error| {
            if error.is_unique() {
                FlagsError::FlagExists.into()
            } else {
                error.into()
            }
        })
    }

    pub(crate) async fn update_flag(&self, caller: &Caller, key: &str, if_match: &IfMatch, command: UpdateFlag) -> Result<Reply<FlagView>> {
        let old = self.flag(caller, key).await?;
        if_match.check_or_require(old.version, true)?;
        let mut flag = old.clone();
        let mut errors = Vec::new();
        if let Some(description) = command.description.into_option() {
            flag.description = description.and_then(|text| parse_description(&text, &mut errors));
        }
        let mut definition = old.definition.clone().unwrap_or_else(|_| Definition {
            variants: Map::new(),
            default_variant: String::new(),
            rules: Vec::new(),
        });
        set(command.enabled, &mut flag.enabled, "/enabled", &mut errors);
        set(command.variants, &mut definition.variants, "/variants", &mut errors);
        set(
            command.default_variant,
            &mut definition.default_variant,
            "/default_variant",
            &mut errors,
        );
        set(command.rules, &mut definition.rules, "/rules", &mut errors);
        definition.check(flag.kind, &mut errors);
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        flag.definition = Ok(definition);
        let mut unit = Unit::new(caller);
        if flag != old {
            flag.version += 1;
            flag.updated_at = caller.now;
            flag.updated_by = caller.user_id()?;
            store::update(&mut unit, &flag);
            unit.record(updated(&old, &flag));
        }
        let (version, view) = (flag.version, FlagView::from(flag));
        let reply = self.db.apply_reply(unit, move |_| Ok(Reply::ok(view, version))).await;
        self.snapshots.forget();
        Ok(reply?)
    }

    pub(crate) async fn delete_flag(&self, caller: &Caller, key: &str, if_match: &IfMatch) -> Result<()> {
        let flag = self.flag(caller, key).await?;
        if_match.check_or_require(flag.version, true)?;
        let mut unit = Unit::new(caller);
        store::delete(&mut unit, &flag);
        unit.record(entry(&flag, Action::FlagDeleted).change("definition", flag.definition.as_ref().ok(), None));
        let done = self.db.apply(unit).await;
        self.snapshots.forget();
        done?;
        Ok(())
    }
}

fn updated(old: &Flag, new: &Flag) -> Entry {
    let part = |flag: &Flag, read: fn(&Definition) -> Value| flag.definition.as_ref().ok().map(read);
    let variants = |definition: &Definition| Value::Object(definition.variants.clone());
    let default_variant = |definition: &Definition| Value::String(definition.default_variant.clone());
    // Plain structs of texts and numbers serialise.
    let rules = |definition: &Definition| serde_json::to_value(&definition.rules).unwrap_or_default();
    entry(new, Action::FlagUpdated)
        .change("description", &old.description, &new.description)
        .change("enabled", old.enabled, new.enabled)
        .change("variants", part(old, variants), part(new, variants))
        .change("default_variant", part(old, default_variant), part(new, default_variant))
        .change("rules", part(old, rules), part(new, rules))
}

/// A value that can be changed but not cleared.
fn set<T>(field: Field<T>, target: &mut T, pointer: &'static str, errors: &mut Vec<FieldError>) {
    match field {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null(pointer)),
        Field::Value(value) => *target = value,
    }
}
