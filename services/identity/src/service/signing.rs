//! Access tokens (RFC 9068) and the keys that sign them.
//!
//! Three states: *next* is published ahead of its use, *current* signs, *previous* ones still verify. A key becomes
//! current only after every verifier had time to fetch it, and stays published longer than any token it signed lives,
//! so that rotation signs nobody out. All replicas read the same rows; the private part is derived from the row's salt
//! and the installation secret; what was signed under another secret verifies no longer. Another algorithm comes by
//! such a rotation too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::identity::Jwks;
use data_encoding::BASE64URL_NOPAD;
use kernel::ids::uuid_v7;
use kernel::{Error, ErrorKind, Result, Timestamp};
use platform::db::{Guard, Unit};
use serde_json::json;

use super::IdentityService;
use crate::model::session::Session;
use crate::model::signing_key::SigningKey;
use crate::model::token::random;
use crate::store;
use crate::store::keys::{KeyRow, Slot};

/// How long a replica trusts what it read.
const CACHE_TTL: Duration = Duration::from_secs(30);
/// `max-age` of the key set.
pub(crate) const JWKS_MAX_AGE: Duration = Duration::from_secs(300);
/// What the overlap adds on top of token and cache lives, for clocks that differ and sweeps that run late.
const MARGIN: Duration = Duration::from_secs(3_600);
/// Another replica did the same at the same time: read again.
const RACE: Guard = Guard {
    kind: ErrorKind::Conflict,
    code: "identity.keys.race",
    detail: "The signing keys changed meanwhile.",
};

/// A signed access token.
#[derive(Debug, Clone)]
pub(crate) struct AccessToken {
    pub(crate) token: String,
    pub(crate) expires_in: Duration,
}

struct KeySet {
    kid: String,
    current: SigningKey,
    /// All that verify, as JSON Web Keys.
    published: Vec<serde_json::Value>,
    read_at: Timestamp,
}

#[derive(Default)]
pub(crate) struct Signer {
    cache: Mutex<Option<Arc<KeySet>>>,
}

impl IdentityService {
    /// No roles and no address in it: only who, which session, and for how long.
    pub(crate) async fn issue_access_token(&self, session: &Session, now: Timestamp) -> Result<AccessToken> {
        let keys = self.key_set().await?;
        let lifetime = self.config.access_ttl().min(session.expires_at.since(now));
        let header = json!({ "alg": keys.current.algorithm().jose(), "typ": "at+jwt", "kid": keys.kid });
        let claims = json!({
            "iss": self.public_url,
            "aud": self.config.audience,
            "sub": session.user_id,
            "sid": session.id,
            "jti": uuid_v7(&*self.toolkit.clock).to_string(),
            "iat": now.as_seconds(),
            "nbf": now.as_seconds(),
            "exp": now.plus(lifetime).as_seconds(),
        });
        let encode = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = keys.current.sign(signed.as_bytes());
        Ok(AccessToken {
            token: format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)),
            expires_in: lifetime,
        })
    }

    /// The public keys (RFC 7517).
    pub(crate) async fn key_document(&self) -> Result<Jwks> {
        let keys = self.key_set().await?;
        Ok(Jwks {
            keys: keys.published.clone(),
        })
    }

    async fn key_set(&self) -> Result<Arc<KeySet>> {
        let now = self.now();
        if let Some(keys) = self.cached_keys(now) {
            return Ok(keys);
        }
        // A second round sees what this or another replica has just made.
        for _ in 0..3 {
            let rows = store::keys::list(&self.db).await?;
            if let Some(keys) = self.assemble(&rows, now) {
                let keys = Arc::new(keys);
                *self.signer.cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keys));
                return Ok(keys);
            }
            self.make_first_keys(&rows, now).await?;
        }
        Err(Error::unavailable(Duration::from_secs(1)))
    }

    fn cached_keys(&self, now: Timestamp) -> Option<Arc<KeySet>> {
        let cache = self.signer.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |keys: &&Arc<KeySet>| now >= keys.read_at && now.since(keys.read_at) < CACHE_TTL;
        cache.as_ref().filter(fresh).cloned()
    }

    #[cfg(test)]
    pub(crate) async fn sign_for_tests(&self, message: &[u8]) -> Vec<u8> {
        self.key_set().await.expect("keys").current.sign(message)
    }

    pub(crate) fn forget_keys(&self) {
        *self.signer.cache.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn assemble(&self, rows: &[KeyRow], now: Timestamp) -> Option<KeySet> {
        let current = rows.iter().find(|row| row.slot == Some(Slot::Current))?;
        Some(KeySet {
            kid: current.kid.clone(),
            current: self.private_key(current)?,
            published: rows.iter().filter_map(|row| self.private_key(row)).map(|key| key.jwk()).collect(),
            read_at: now,
        })
    }

    /// `None` when the row was made under another installation secret.
    fn private_key(&self, row: &KeyRow) -> Option<SigningKey> {
        SigningKey::derive(row.algorithm, &self.keyring.signing, &row.salt).filter(|key| *key.x() == row.public_key)
    }

    fn new_key(&self, slot: Slot, now: Timestamp) -> Result<KeyRow> {
        let (algorithm, salt) = (self.config.signing_algorithm, random());
        let key = SigningKey::derive(algorithm, &self.keyring.signing, &salt)
            .ok_or_else(|| Error::internal("no signing key could be derived"))?;
        Ok(KeyRow {
            kid: key.thumbprint(),
            slot: Some(slot),
            algorithm,
            salt,
            public_key: *key.x(),
            created_at: now,
            activated_at: (slot == Slot::Current).then_some(now),
            retired_at: None,
        })
    }

    /// At the first start, or after the installation secret was changed.
    async fn make_first_keys(&self, rows: &[KeyRow], now: Timestamp) -> Result<()> {
        let mut unit = Unit::new(&self.system("identity.keys"));
        for row in rows.iter().filter(|row| row.slot.is_some()) {
            tracing::warn!(
                kid = row.kid,
                "the signing key was made under another installation secret; making a new one"
            );
            store::keys::retire(&mut unit, &row.kid, now, RACE);
        }
        store::keys::insert(&mut unit, &self.new_key(Slot::Current, now)?);
        store::keys::insert(&mut unit, &self.new_key(Slot::Next, now)?);
        accept_race(self.db.apply(unit).await)
    }

    /// Moves the keys on when the current one is old enough. Safe on several replicas at once.
    pub(crate) async fn rotate_keys(&self) -> Result<()> {
        let now = self.now();
        let rows = store::keys::list(&self.db).await?;
        let in_slot = |slot| rows.iter().find(|row| row.slot == Some(slot));
        let overlap = self.config.access_ttl() + JWKS_MAX_AGE + CACHE_TTL;
        let period = Duration::from_secs(self.config.signing_key_days * 86_400);
        let wanted = self.config.signing_algorithm;
        let mut unit = Unit::new(&self.system("identity.keys"));
        match (in_slot(Slot::Current), in_slot(Slot::Next)) {
            // A verifier may know the next one already, so it is withdrawn as slowly as one that has signed.
            (Some(_), Some(next)) if next.algorithm != wanted => {
                store::keys::retire(&mut unit, &next.kid, now, RACE);
                store::keys::insert(&mut unit, &self.new_key(Slot::Next, now)?);
            }
            (Some(current), Some(next)) => {
                let old = current.activated_at.is_some_and(|since| now.since(since) >= period) || current.algorithm != wanted;
                if old && now.since(next.created_at) >= overlap && self.private_key(next).is_some() {
                    store::keys::retire(&mut unit, &current.kid, now, RACE);
                    store::keys::activate(&mut unit, &next.kid, now, RACE);
                    store::keys::insert(&mut unit, &self.new_key(Slot::Next, now)?);
                    tracing::info!(target: "auth", event = "signing_key_rotated", old = current.kid, new = next.kid);
                }
            }
            _ => self.make_first_keys(&rows, now).await?,
        }
        store::keys::delete_retired(&mut unit, now.minus(overlap + MARGIN));
        accept_race(self.db.apply(unit).await)?;
        self.forget_keys();
        Ok(())
    }
}

fn accept_race(result: Result<platform::db::Output, platform::db::DbError>) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(platform::db::DbError::Guard(guard)) if guard == RACE => Ok(()),
        Err(error) if error.is_unique() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
