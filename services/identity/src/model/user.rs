//! People and the states of their accounts.

use kernel::Timestamp;
use kernel::ids::UserId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserStatus {
    Active,
    /// By the person; a password reset by mail brings the account back.
    Disabled,
    /// By an administrator, who alone can undo it.
    Locked,
    /// For ever; only the id is left.
    Deleted,
}

impl UserStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Locked => "locked",
            Self::Deleted => "deleted",
        }
    }
}

impl std::str::FromStr for UserStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Active, Self::Disabled, Self::Locked, Self::Deleted]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("unknown user status {text:?}"))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: UserId,
    /// `None` once deleted.
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    /// A new address that awaits its proof.
    pub(crate) pending_email: Option<String>,
    pub(crate) name: String,
    pub(crate) time_zone: String,
    pub(crate) locale: String,
    /// PHC string. `None`: no password sign-in.
    pub(crate) password_hash: Option<String>,
    /// Also the stamp that ties a running sign-in to the password it checked.
    pub(crate) password_changed_at: Timestamp,
    pub(crate) status: UserStatus,
    pub(crate) instance_admin: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}

impl User {
    pub(crate) fn is_active(&self) -> bool {
        self.status == UserStatus::Active
    }

    /// Lower-cased text the administrator's search looks in.
    pub(crate) fn search_folded(&self) -> String {
        format!("{} {}", self.email.as_deref().unwrap_or_default(), self.name)
            .to_lowercase()
            .chars()
            .take(500)
            .collect()
    }
}
