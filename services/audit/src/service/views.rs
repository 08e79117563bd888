//! What the API shows.

use std::collections::HashMap;

use contracts::audit::Change;
use kernel::Timestamp;
use kernel::ids::{ApiKeyId, EntityId, EventId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::SealedEntry;

/// One action in a log.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199b1f0-3c5d-7e42-9c53-3f6f7f0d2a11", "seq": 42, "at": "2026-11-21T15:04:05.123456Z", "action": "member.role_changed",
    "actor": { "kind": "user", "user_id": "0199b1f0-3c5d-7e42-9c53-3f6f7f0d2a12", "name": "Ada Lovelace" },
    "target": { "kind": "member", "id": "0199b1f0-3c5d-7e42-9c53-3f6f7f0d2a13", "name": "Ben" },
    "changes": [{ "field": "role", "before": "viewer", "after": "owner" }],
    "address": "203.0.113.9", "user_agent": "curl/8.5.0", "request_id": "0199b1f03c5d7e429c533f6f7f0d2a14"
}))]
pub(crate) struct AuditEntryView {
    pub id: EventId,
    /// Place in the log: 1, 2, 3 without gaps.
    #[schema(minimum = 1)]
    pub seq: i64,
    pub at: Timestamp,
    /// Such as `project.deleted`. New ones may come at any time.
    #[schema(example = "project.deleted")]
    pub action: String,
    pub actor: AuditActorView,
    pub target: AuditTargetView,
    /// Fields with their values before and after; of a secret only that it changed.
    pub changes: Vec<AuditChangeView>,
    /// Address of the client; absent for what the program did by itself, and in the log of an account for what another person did to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.9")]
    pub address: Option<String>,
    /// Absent where the address is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// `X-Request-Id` of the request.
    pub request_id: String,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AuditActorView {
    /// `user`, `api_key` (a program for that user), `system`, or `anonymous` (nobody signed in).
    #[schema(example = "user")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// As the person is called now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_id: Option<ApiKeyId>,
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AuditTargetView {
    #[schema(example = "project")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// As it was called then; a person as they are called now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct AuditChangeView {
    #[schema(example = "role")]
    pub field: String,
    /// Absent where nothing was before, and of a secret.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub before: serde_json::Value,
    /// Absent where nothing is now, and of a secret.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub after: serde_json::Value,
}

/// The account that the entry is about, where it is about one.
pub(crate) fn target_person(sealed: &SealedEntry) -> Option<UserId> {
    let entry = &sealed.entry;
    let person = matches!(entry.target_kind.as_str(), "account" | "member" | "project_member");
    entry.target_id.as_deref().filter(|_| person)?.parse().ok()
}

/// Whether somebody else did this to the account in whose log it stands, such as an administrator who locked it. The log is for its
/// person alone, who learns who it was and not from where. What nobody known did keeps its address: it may be an attacker's.
fn by_another(sealed: &SealedEntry) -> bool {
    let entry = &sealed.entry;
    // Ids of accounts and of workspaces never meet, so the log of the account that the entry is about is that account's own.
    let account = target_person(sealed).filter(|person| person.uuid() == entry.log_id);
    account.is_some_and(|account| entry.who.user_id.is_some_and(|actor| actor != account))
}

impl AuditEntryView {
    pub fn new(sealed: SealedEntry, names: &HashMap<UserId, String>) -> Self {
        let person = target_person(&sealed).and_then(|id| names.get(&id).cloned());
        let hidden = by_another(&sealed);
        let entry = sealed.entry;
        // Written by this program; what a hand in the database made of it is not worth a failed page.
        let changes: Vec<Change> = serde_json::from_str(&entry.changes).unwrap_or_default();
        Self {
            id: entry.id,
            seq: entry.seq,
            at: entry.occurred_at,
            action: entry.action,
            actor: AuditActorView {
                name: entry.who.user_id.and_then(|id| names.get(&id).cloned()),
                kind: entry.who.kind,
                user_id: entry.who.user_id,
                api_key_id: entry.who.api_key_id,
            },
            target: AuditTargetView {
                kind: entry.target_kind,
                id: entry.target_id,
                name: entry.target_name.or(person),
            },
            changes: changes
                .into_iter()
                .map(|change| AuditChangeView {
                    field: change.field,
                    before: change.before,
                    after: change.after,
                })
                .collect(),
            address: entry.address.filter(|_| !hidden),
            user_agent: entry.user_agent.filter(|_| !hidden),
            request_id: entry.request_id,
        }
    }
}
