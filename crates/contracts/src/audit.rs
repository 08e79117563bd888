//! audit: who did what, from where. Every service records its actions in the unit that does them; the audit service keeps
//! the logs. Nobody calls it.

use kernel::Actor;
use kernel::ids::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which log an action is recorded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Log {
    /// Read by the owners of the workspace.
    Workspace(WorkspaceId),
    /// The security log of an account, read by its person.
    Account(UserId),
    /// Read by those who manage the installation.
    Installation,
}

macro_rules! actions {
    ($($variant:ident => $name:literal),+ $(,)?) => {
        /// What can be recorded. Names never change meaning; new ones may come at any time.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action { $($variant),+ }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

actions! {
    WorkspaceCreated => "workspace.created",
    WorkspaceUpdated => "workspace.updated",
    WorkspaceDeleted => "workspace.deleted",
    WorkspaceRestored => "workspace.restored",
    WorkspacePurged => "workspace.purged",
    WorkspaceExported => "workspace.exported",
    OwnershipTransferred => "workspace.ownership_transferred",
    MemberAdded => "member.added",
    MemberRoleChanged => "member.role_changed",
    MemberRemoved => "member.removed",
    MemberLeft => "member.left",
    InvitationCreated => "invitation.created",
    InvitationResent => "invitation.resent",
    InvitationRevoked => "invitation.revoked",
    InvitationDeclined => "invitation.declined",
    ProjectCreated => "project.created",
    ProjectUpdated => "project.updated",
    ProjectArchived => "project.archived",
    ProjectUnarchived => "project.unarchived",
    ProjectDeleted => "project.deleted",
    ProjectRestored => "project.restored",
    ProjectPurged => "project.purged",
    ProjectMemberAdded => "project_member.added",
    ProjectMemberRoleChanged => "project_member.role_changed",
    ProjectMemberRemoved => "project_member.removed",
    TaskDeleted => "task.deleted",
    TaskRestored => "task.restored",
    TaskPurged => "task.purged",
    TasksImported => "tasks.imported",
    TasksExported => "tasks.exported",
    WebhookCreated => "webhook.created",
    WebhookUpdated => "webhook.updated",
    WebhookSecretRotated => "webhook.secret_rotated",
    WebhookDisabled => "webhook.disabled",
    WebhookDeleted => "webhook.deleted",
    AuditLogExported => "audit_log.exported",
    AccountRegistered => "account.registered",
    AccountUpdated => "account.updated",
    AccountDisabled => "account.disabled",
    AccountLocked => "account.locked",
    AccountActivated => "account.activated",
    AccountDeleted => "account.deleted",
    AccountExported => "account.exported",
    EmailVerified => "account.email_verified",
    EmailChangeRequested => "account.email_change_requested",
    EmailChanged => "account.email_changed",
    AdministratorGranted => "administrator.granted",
    AdministratorRevoked => "administrator.revoked",
    SignedIn => "sign_in.succeeded",
    SignInFailed => "sign_in.failed",
    PasswordChanged => "password.changed",
    PasswordReset => "password.reset",
    PasswordConfirmationFailed => "password.confirmation_failed",
    SecondFactorEnabled => "second_factor.enabled",
    SecondFactorDisabled => "second_factor.disabled",
    SecondFactorFailed => "second_factor.failed",
    RecoveryCodesRenewed => "second_factor.recovery_codes_renewed",
    ExternalIdentityLinked => "external_identity.linked",
    ExternalIdentityUnlinked => "external_identity.unlinked",
    ApiKeyCreated => "api_key.created",
    ApiKeyUpdated => "api_key.updated",
    ApiKeyRevoked => "api_key.revoked",
    CalendarFeedCreated => "calendar_feed.created",
    CalendarFeedDeleted => "calendar_feed.deleted",
    SessionsEnded => "sessions.ended",
    FlagCreated => "flag.created",
    FlagUpdated => "flag.updated",
    FlagDeleted => "flag.deleted",
}

/// What an action was done to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Target {
    /// Such as `project`.
    pub kind: String,
    /// Absent where nothing of that kind is known, as in a sign-in with an unknown address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How people called it at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A field before and after. Of a secret only that it changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// Such as `settings.default_role`.
    pub field: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub before: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub after: Value,
}

/// An action, to be recorded in the unit that does it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub log: Log,
    pub action: Action,
    pub target: Target,
    pub changes: Vec<Change>,
    /// Who does it, where that is not the caller.
    pub actor: Option<Actor>,
}

impl Entry {
    pub fn new(log: Log, action: Action, kind: &str) -> Self {
        Self {
            log,
            action,
            target: Target {
                kind: kind.to_owned(),
                ..Target::default()
            },
            changes: Vec::new(),
            actor: None,
        }
    }

    /// In a person's own security log.
    pub fn of_account(user_id: UserId, action: Action) -> Self {
        Self::new(Log::Account(user_id), action, "account").id(user_id)
    }

    #[must_use]
    pub fn id(mut self, id: impl ToString) -> Self {
        self.target.id = Some(id.to_string());
        self
    }

    /// For who signs in: until then the caller is nobody.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.target.name = Some(name.into());
        self
    }

    /// Nothing when before and after are the same. Values that are no JSON do not come about: plain fields are given here.
    #[must_use]
    pub fn change<T: Serialize>(mut self, field: &str, before: T, after: T) -> Self {
        let value = |value: T| serde_json::to_value(value).unwrap_or_default();
        let (before, after) = (value(before), value(after));
        if before != after {
            self.changes.push(Change {
                field: field.to_owned(),
                before,
                after,
            });
        }
        self
    }

    /// A value that says how it was done, where nothing was before.
    #[must_use]
    pub fn with<T: Serialize>(self, field: &str, value: T) -> Self {
        self.change(field, None, Some(value))
    }

    /// That a field changed, where its values are nobody's business.
    #[must_use]
    pub fn changed(mut self, field: &str) -> Self {
        self.changes.push(Change {
            field: field.to_owned(),
            before: Value::Null,
            after: Value::Null,
        });
        self
    }
}

/// Facts that every service announces about itself.
pub mod events {
    use std::net::IpAddr;

    use kernel::Actor;
    use kernel::ids::WorkspaceId;
    use serde::{Deserialize, Serialize};

    use super::{Change, Entry, Log, Target};
    use crate::event::EventPayload;

    /// From where an action came. Travels in this event alone: other events go to other programs as well.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct Source {
        /// Address of the client, after the trusted-proxy rule.
        #[schema(value_type = String, example = "203.0.113.9")]
        pub address: IpAddr,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub user_agent: Option<String>,
    }

    /// An action was done. When, under which request, and mostly by whom stands in the envelope.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct ActionRecorded {
        pub log: Log,
        /// [`super::Action::as_str`]; an older reader keeps a name that it does not know.
        pub action: String,
        pub target: Target,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub changes: Vec<Change>,
        /// Absent for what the program did by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source: Option<Source>,
        /// Who did it, where that is not the actor of the envelope: who signs in is nobody until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        pub actor: Option<Actor>,
    }

    impl ActionRecorded {
        pub fn new(entry: Entry, source: Option<Source>) -> Self {
            Self {
                log: entry.log,
                action: entry.action.as_str().to_owned(),
                target: entry.target,
                changes: entry.changes,
                source,
                actor: entry.actor,
            }
        }
    }

    impl EventPayload for ActionRecorded {
        const TYPE: &'static str = "audit.action_recorded.v1";
        /// The log, for its entries are in order.
        fn subject(&self) -> String {
            match self.log {
                Log::Workspace(id) => id.to_string(),
                Log::Account(id) => id.to_string(),
                Log::Installation => "installation".to_owned(),
            }
        }
        fn workspace_id(&self) -> Option<WorkspaceId> {
            match self.log {
                Log::Workspace(id) => Some(id),
                Log::Account(_) | Log::Installation => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_actions_are_unique_and_have_two_parts() {
        let names: std::collections::BTreeSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        assert!(names.iter().all(|name| name.split('.').count() == 2 && name.len() <= 64));
    }

    #[test]
    fn only_what_changed_is_noted() {
        let entry = Entry::new(Log::Installation, Action::ProjectUpdated, "project")
            .change("name", "Old", "New")
            .change("private", true, true)
            .with("via", "link")
            .changed("secret");
        let fields: Vec<_> = entry.changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, ["name", "via", "secret"]);
        assert_eq!(entry.changes[1].before, Value::Null);
    }
}
