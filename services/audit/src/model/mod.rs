//! Entries, and the logs that hold them.

pub mod seal;

use contracts::audit::Log;
use kernel::ids::{ApiKeyId, EntityId, EventId, UserId, Uuid};
use kernel::{Actor, Timestamp};

use seal::AuditKey;

/// Key of a log among all logs. Ids of workspaces and accounts never meet; the installation has 0.
pub(crate) fn log_id(log: Log) -> Uuid {
    match log {
        Log::Workspace(id) => id.uuid(),
        Log::Account(id) => id.uuid(),
        Log::Installation => Uuid::nil(),
    }
}

pub(crate) const fn log_kind(log: Log) -> &'static str {
    match log {
        Log::Workspace(_) => "workspace",
        Log::Account(_) => "account",
        Log::Installation => "installation",
    }
}

/// Both ends of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub log_id: Uuid,
    pub kind: String,
    pub last_seq: i64,
    pub last_seal: String,
    pub first_seq: i64,
    /// The seal that the oldest kept entry continues; empty before the first of all.
    pub before_seal: String,
    pub key_id: String,
    /// From this entry on all are sealed under that key.
    pub key_since: i64,
    /// Over all of the above, so that nobody moves an end without the key.
    pub seal: String,
}

impl Head {
    /// A log with its first entry.
    pub(crate) fn begin(kind: &str, first: &SealedEntry, key: &AuditKey) -> Self {
        let head = Self {
            log_id: first.entry.log_id,
            kind: kind.to_owned(),
            last_seq: first.entry.seq,
            last_seal: first.seal.clone(),
            first_seq: first.entry.seq,
            before_seal: String::new(),
            key_id: key.id().to_owned(),
            key_since: first.entry.seq,
            seal: String::new(),
        };
        head.sealed(key)
    }

    /// With one entry more.
    pub(crate) fn extend(mut self, newest: &SealedEntry, key: &AuditKey) -> Self {
        self.take_key(key);
        self.last_seq = newest.entry.seq;
        self.last_seal.clone_from(&newest.seal);
        self.sealed(key)
    }

    /// Without the entries up to `last`.
    pub(crate) fn shorten(mut self, last: &SealedEntry, key: &AuditKey) -> Self {
        self.take_key(key);
        self.first_seq = last.entry.seq + 1;
        self.before_seal.clone_from(&last.seal);
        self.sealed(key)
    }

    /// The secret of the installation was changed: what was sealed before stays as it is.
    fn take_key(&mut self, key: &AuditKey) {
        if self.key_id != key.id() {
            key.id().clone_into(&mut self.key_id);
            self.key_since = self.last_seq + 1;
        }
    }

    fn sealed(mut self, key: &AuditKey) -> Self {
        self.seal = key.seal_head(&self);
        self
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    pub kind: String,
    pub user_id: Option<UserId>,
    pub api_key_id: Option<ApiKeyId>,
}

impl From<Actor> for Who {
    fn from(actor: Actor) -> Self {
        let (kind, api_key_id) = match actor {
            Actor::User { .. } => ("user", None),
            Actor::ApiKey { key_id, .. } => ("api_key", Some(key_id)),
            Actor::System => ("system", None),
            Actor::Anonymous => ("anonymous", None),
        };
        Self {
            kind: kind.to_owned(),
            user_id: actor.user_id(),
            api_key_id,
        }
    }
}

/// One action. Texts are as short as their columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub log_id: Uuid,
    pub seq: i64,
    pub id: EventId,
    pub occurred_at: Timestamp,
    pub who: Who,
    pub action: String,
    pub target_kind: String,
    pub target_id: Option<String>,
    pub target_name: Option<String>,
    pub address: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: String,
    /// JSON, as it was sealed.
    pub changes: String,
}

/// An entry as it lies in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntry {
    pub entry: Entry,
    pub key_id: String,
    pub seal: String,
}

/// At most `limit` characters.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}
