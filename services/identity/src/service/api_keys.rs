//! API keys: make, list, rename, revoke, check.

use std::time::Duration;

use contracts::audit::{Action, Entry, Log};
use contracts::identity::{ApiKeyState, CheckApiKey};
use kernel::cursor::Page;
use kernel::ids::{ApiKeyId, EntityId, UserId};
use kernel::scopes::{Scope, ScopeSet};
use kernel::{Error, Result, Timestamp, api_key};
use platform::Caller;
use platform::db::{DbError, Guard, Reply, Unit};
use platform::http::IfMatch;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{IdentityService, MailJob, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::api_key::ApiKey;
use crate::model::profile::parse_name;
use crate::model::token::{random, sha256};
use crate::model::user::UserStatus;
use crate::store;

/// More at once than a person can plausibly look after.
const MAX_KEYS: i64 = 50;
const TOO_MANY: Guard = Guard::conflict(
    "identity.api_key.too_many",
    "You have as many API keys as one can have; revoke one first.",
);
/// The password changed, or the account went away, while the key was made.
const CHANGED: Guard = Guard {
    kind: kernel::ErrorKind::Unauthenticated,
    code: "auth.token_invalid",
    detail: "The access token is not valid any more; sign in again.",
};
const DAY: Duration = Duration::from_secs(86_400);
/// A key in steady use is noted so often and no more.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct CreateApiKey {
    pub(crate) name: String,
    pub(crate) scopes: Vec<Scope>,
    /// The configured default when absent.
    pub(crate) expires_in_days: Option<u32>,
    pub(crate) current_password: SecretString,
    /// Demanded of people with a second factor.
    pub(crate) code: Option<SecretString>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Position {
    created_at: Timestamp,
    id: ApiKeyId,
}

impl IdentityService {
    /// A key lets its holder in without the password, so making one asks for it. Gives the text of the key, the only time;
    /// `render` gives what may rest in the database for an `Idempotency-Key`, which that text may not.
    pub(crate) async fn create_api_key<T, F>(&self, caller: &Caller, command: CreateApiKey, render: F) -> Result<(Reply<T>, SecretString)>
    where
        T: Serialize + Send + 'static,
        F: FnOnce(&ApiKey) -> T,
    {
        // Only a session makes keys: a stolen key must not outlive its revocation in another one.
        caller.session_id()?;
        let user = self.get_me(caller).await?;
        let (name, scopes, days) = self.validate_key(&command)?;
        self.confirm_person(caller, &user, &command.current_password, command.code.as_ref())
            .await?;
        let secret = random();
        let key = ApiKey {
            id: ApiKeyId::generate(&*self.toolkit.clock),
            user_id: user.id,
            name,
            scopes,
            secret_hash: sha256(&secret),
            created_at: caller.now,
            updated_at: caller.now,
            expires_at: caller.now.plus(DAY * days),
            last_used_at: None,
            revoked_at: None,
            version: 1,
        };
        let mut unit = Unit::new(caller);
        // A reset of the password ends keys, also one that is being made.
        store::users::require_unchanged_credentials(&mut unit, &user, CHANGED);
        let before = store::api_keys::count(&mut unit, user.id);
        store::api_keys::insert(&mut unit, &key);
        unit.record(
            entry(&key, Action::ApiKeyCreated)
                .with("scopes", key.scopes)
                .with("expires_at", key.expires_at),
        );
        Self::schedule_mail(&mut unit, &MailJob::api_key_made(&key), caller.now);
        // Of a short life, half of it.
        let notice = (DAY * self.config.api_keys.warn_days).min(DAY * days / 2);
        Self::schedule_mail(&mut unit, &MailJob::ApiKeyExpires { key_id: key.id }, key.expires_at.minus(notice));
        let (body, location) = (render(&key), format!("/v1/api-keys/{}", key.id));
        let reply = self
            .db
            .apply_reply(unit, move |out| match out.first(&before)? {
                count if count >= MAX_KEYS => Err(DbError::Guard(TOO_MANY)),
                _ => Ok(Reply::created(body, 1, location)),
            })
            .await?;
        audit(caller, "api_key_made", Some(user.id), "ok");
        let text = SecretString::from(api_key::format(key.id, &secret));
        Ok((reply, text))
    }

    fn validate_key(&self, command: &CreateApiKey) -> Result<(String, ScopeSet, u32)> {
        let mut errors = Vec::new();
        let name = parse_key_name(&command.name, &mut errors);
        let scopes: ScopeSet = command.scopes.iter().copied().collect();
        if scopes.is_empty() {
            errors.push(kernel::FieldError::new("/scopes", "required", "must name at least one scope"));
        }
        let config = &self.config.api_keys;
        let days = command.expires_in_days.unwrap_or(config.default_days);
        if !(1..=config.max_days).contains(&days) {
            let detail = format!("must lie between 1 and {} days", config.max_days);
            errors.push(kernel::FieldError::new("/expires_in_days", "out_of_range", detail));
        }
        match name {
            Some(name) if errors.is_empty() => Ok((name, scopes, days)),
            _ => Err(Error::invalid(errors)),
        }
    }

    pub(crate) async fn list_api_keys(&self, caller: &Caller, limit: u32, cursor: Option<&str>) -> Result<Page<ApiKey>> {
        let user_id = caller.user_id()?;
        let binding = format!("api_keys|-created_at|{user_id}");
        let after: Option<Position> = self.toolkit.cursors.start(cursor, &binding)?;
        let after = after.map(|position| (position.created_at, position.id));
        let keys = store::api_keys::list(&self.db, user_id, u64::from(limit) + 1, after).await?;
        self.toolkit.cursors.page(keys, limit, &binding, |key| Position {
            created_at: key.created_at,
            id: key.id,
        })
    }

    pub(crate) async fn get_api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<ApiKey> {
        let key = store::api_keys::find(&self.db, caller.user_id()?, id).await?;
        Ok(key.ok_or(IdentityError::ApiKeyNotFound)?)
    }

    pub(crate) async fn rename_api_key<T, F>(
        &self,
        caller: &Caller,
        id: ApiKeyId,
        name: &str,
        if_match: &IfMatch,
        render: F,
    ) -> Result<Reply<T>>
    where
        T: Serialize + Send + 'static,
        F: FnOnce(&ApiKey) -> T,
    {
        let key = self.get_api_key(caller, id).await?;
        if_match.check(key.version)?;
        let mut errors = Vec::new();
        let name = parse_key_name(name, &mut errors).ok_or_else(|| Error::invalid(errors))?;
        let entry = entry(&key, Action::ApiKeyUpdated).change("name", &key.name, &name);
        let changed = ApiKey {
            name,
            updated_at: caller.now,
            version: key.version + 1,
            ..key
        };
        let mut unit = Unit::new(caller);
        store::api_keys::update(&mut unit, &changed, Guard::VERSION);
        unit.record(entry);
        let (body, version) = (render(&changed), changed.version);
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(body, version))).await?)
    }

    /// At once in this process, within the seconds of a cache elsewhere.
    pub(crate) async fn revoke_api_key(&self, caller: &Caller, id: ApiKeyId) -> Result<()> {
        let key = self.get_api_key(caller, id).await?;
        let revoked = ApiKey {
            revoked_at: Some(caller.now),
            updated_at: caller.now,
            version: key.version + 1,
            ..key
        };
        let mut unit = Unit::new(&without_idempotency(caller));
        store::api_keys::update(&mut unit, &revoked, Guard::VERSION);
        unit.record(entry(&revoked, Action::ApiKeyRevoked));
        self.db.apply(unit).await?;
        self.announce_sessions(revoked.user_id);
        audit(caller, "api_key_revoked", Some(revoked.user_id), "ok");
        Ok(())
    }

    /// Asked behind a cache of a few seconds. An unknown key costs the same as a wrong secret.
    pub(crate) async fn api_key_state(&self, request: &CheckApiKey) -> Result<Option<ApiKeyState>> {
        let standing = store::api_keys::find_standing(&self.db, request.key_id).await?;
        let stored = standing.as_ref().map_or([0; 32], |standing| standing.key.secret_hash);
        let matches = bool::from(stored.ct_eq(&request.secret_hash));
        let now = self.now();
        let good = standing.filter(|standing| matches && standing.key.is_live(now) && standing.status == UserStatus::Active);
        let Some(store::api_keys::Standing { key, .. }) = good else {
            return Ok(None);
        };
        if key.last_used_at.is_none_or(|at| now.since(at) >= USE_NOTED_EVERY) {
            self.note_key_use(key.id, now).await;
        }
        Ok(Some(ApiKeyState {
            user_id: key.user_id,
            scopes: key.scopes,
            expires_at: key.expires_at,
        }))
    }

    /// At once and not in batches: what waits in memory is lost when the process ends. A use that cannot be noted opens as any other.
    async fn note_key_use(&self, id: ApiKeyId, at: Timestamp) {
        let mut unit = Unit::new(&self.system("identity.key_use"));
        store::api_keys::note_use(&mut unit, id, at);
        if let Err(error) = self.db.apply(unit).await {
            self.db.trouble("the use of an API key cannot be noted", &error);
        }
    }

    /// For the mail that warns.
    pub(crate) async fn expiring_key(&self, id: ApiKeyId) -> Result<Option<(ApiKey, UserId)>> {
        let standing = store::api_keys::find_standing(&self.db, id).await?;
        let now = self.now();
        let live = standing.filter(|standing| standing.key.is_live(now) && standing.status == UserStatus::Active);
        Ok(live.map(|standing| (standing.key.clone(), standing.key.user_id)))
    }
}

fn entry(key: &ApiKey, action: Action) -> Entry {
    Entry::new(Log::Account(key.user_id), action, "api_key")
        .id(key.id)
        .name(key.name.as_str())
}

const MAX_KEY_NAME_CHARS: usize = 100;

fn parse_key_name(text: &str, errors: &mut Vec<kernel::FieldError>) -> Option<String> {
    let name = parse_name(text, "/name", errors)?;
    if name.chars().count() > MAX_KEY_NAME_CHARS {
        let detail = format!("must be at most {MAX_KEY_NAME_CHARS} characters");
        errors.push(kernel::FieldError::new("/name", "too_long", detail));
        return None;
    }
    Some(name)
}
