//! What clients see.

use kernel::Timestamp;
use kernel::ids::{SessionId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::session::Session;
use crate::model::user::{User, UserStatus};

/// A person with an account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct UserView {
    pub(super) id: UserId,
    /// Lower-cased; empty once deleted.
    #[schema(example = "ada@example.org")]
    email: String,
    email_verified: bool,
    /// A new address that awaits its proof.
    pending_email: Option<String>,
    #[schema(example = "Ada Lovelace")]
    name: String,
    /// IANA name.
    #[schema(example = "Europe/London")]
    time_zone: String,
    /// BCP 47 tag.
    #[schema(example = "en")]
    locale: String,
    status: UserStatus,
    /// May manage the installation.
    instance_admin: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.clone().unwrap_or_default(),
            email_verified: user.email_verified,
            pending_email: user.pending_email.clone(),
            name: user.name.clone(),
            time_zone: user.time_zone.clone(),
            locale: user.locale.clone(),
            status: user.status,
            instance_admin: user.instance_admin,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// One signed-in device or program.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct SessionView {
    id: SessionId,
    /// It is the one that asks.
    current: bool,
    created_at: Timestamp,
    /// Last sign-in or refresh.
    last_used_at: Timestamp,
    /// Ends then at the latest.
    expires_at: Timestamp,
    #[schema(example = "192.0.2.7")]
    ip: String,
    /// As the device calls itself.
    user_agent: String,
}

impl SessionView {
    pub(super) fn new(session: &Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            current: session.id == current,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            ip: session.ip.clone(),
            user_agent: session.user_agent.clone(),
        }
    }
}
