//! The `workspaces` section of the configuration.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The link in invitations; the page it names shows or accepts them. `{public_url}` (of the `server` section) and
    /// `{token}` are replaced.
    pub invitation_link: String,
    /// Days an invitation can be accepted when the inviter names no other time.
    pub invitation_days: u32,
    /// Open invitations a workspace can have at a time.
    pub max_pending_invitations: u32,
    /// Seconds between two mails of the same invitation.
    pub resend_seconds: u32,
    /// Members a workspace can have.
    pub max_members: u32,
    /// Projects a workspace can have, deleted ones within their 30 days included.
    pub max_projects: u32,
    /// Workspaces that one person can have created and not purged.
    pub max_workspaces_per_person: u32,
    /// Days a deleted workspace or project can be restored.
    pub restore_days: u32,
    /// Milliseconds a membership may be served from memory. A change in the same process counts at once; on other
    /// replicas a lost signal is made up for after this time. At most 5000.
    pub membership_cache_ms: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            invitation_link: "{public_url}/v1/invitations/{token}".into(),
            invitation_days: 7,
            max_pending_invitations: 100,
            resend_seconds: 60,
            max_members: 2_000,
            max_projects: 1_000,
            max_workspaces_per_person: 100,
            restore_days: 30,
            membership_cache_ms: 3_000,
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Config {
    /// Everything that is wrong, at once.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.invitation_link.contains("{token}") {
            problems.push("workspaces.invitation_link: must contain {token}".to_owned());
        }
        let starts = ["http://", "https://", "{public_url}"];
        if !starts.iter().any(|start| self.invitation_link.starts_with(start)) {
            problems.push("workspaces.invitation_link: must start with http://, https:// or {public_url}".to_owned());
        }
        if self.membership_cache_ms > 5_000 {
            problems.push("workspaces.membership_cache_ms: must be at most 5000: a removed member is stopped within 5 seconds".to_owned());
        }
        let bounds: [(&str, u32, u32); 7] = [
            ("invitation_days", self.invitation_days, 30),
            ("max_pending_invitations", self.max_pending_invitations, 10_000),
            ("resend_seconds", self.resend_seconds, 86_400),
            ("max_members", self.max_members, 50_000),
            ("max_projects", self.max_projects, 5_000),
            ("max_workspaces_per_person", self.max_workspaces_per_person, 10_000),
            ("restore_days", self.restore_days, 3_650),
        ];
        for (name, value, most) in bounds {
            if value == 0 || value > most {
                problems.push(format!("workspaces.{name}: must lie between 1 and {most}"));
            }
        }
        problems
    }

    pub(crate) fn restore_time(&self) -> Duration {
        DAY * self.restore_days
    }
    pub(crate) fn invitation_time(&self) -> Duration {
        DAY * self.invitation_days
    }
    pub(crate) fn link(&self, token: &str) -> String {
        self.invitation_link.replace("{token}", token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_every_mistake_is_named() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let bad = Config {
            invitation_link: "ftp://x".into(),
            membership_cache_ms: 60_000,
            max_members: 0,
            ..Config::default()
        };
        assert_eq!(bad.validate().len(), 4, "{:?}", bad.validate());
    }
}
