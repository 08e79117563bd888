//! Tenants, the people in them, and their projects.
//!
//! Invariants:
//! - A live workspace has at least one owner; `workspaces.owner_count` counts them and guards it ([`store::workspaces::change_headcount`]).
//! - A project role needs a workspace role: both go in one unit when a member goes.
//! - Nobody gives a role above their own or changes somebody above them ([`kernel::roles::may_grant`]).
//! - What a person may do is asked of the database by every command here, and of a cache of a few seconds by others.
//! - Tokens of invitations exist in the mail or the one reply that carries them; the database has their SHA-256.
//!
//! Events out: everything in [`contracts::workspaces::events`]. Events in: `identity.user_deactivated.v1`.

mod api;
mod cache;
mod config;
mod error;
mod events;
#[expect(
    unused_qualifications,
    reason = "the path macro of utoipa names parameter types by a longer path than it needs"
)]
mod http;
mod jobs;
mod model;
mod service;
mod store;
mod views;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use contracts::identity::Identity;
use kernel::ids::{UserId, WorkspaceId};
use platform::db::{Db, Schema, UniqueRule};
use platform::due::Sweep;
use platform::events::Consumer;
use platform::http::OpenApiRouter;
use platform::signals::Signal;
use platform::{Service, Toolkit};

use cache::MembershipCache;
pub use config::Config;
pub use service::takeout::DISCLOSED;
pub use store::checks::CHECKS;

/// What the database of this service is made of.
pub const SCHEMA: Schema = Schema {
    service: "workspaces",
    migrations: platform::migrations!["0001_init", "0002_invitation_claims", "0003_trash"],
    unique_rules: &[
        UniqueRule {
            constraint: "workspaces_slug_unique",
            columns: "workspaces.slug",
            pointer: "/slug",
            code: "workspaces.workspace.slug_taken",
            detail: "This slug is taken.",
        },
        UniqueRule {
            constraint: "projects_key_unique",
            columns: "projects.workspace_id, projects.project_key",
            pointer: "/key",
            code: "workspaces.project.key_taken",
            detail: "Another project of the workspace, possibly a deleted one, has this key.",
        },
        UniqueRule {
            constraint: "invitations_pending_unique",
            columns: "invitations.workspace_id, invitations.pending_email",
            pointer: "/email",
            code: "workspaces.invitation.pending",
            detail: "This address has an open invitation; send that one again or revoke it.",
        },
    ],
};

/// The bounded context of workspaces and projects.
pub struct WorkspacesService {
    db: Db,
    config: Config,
    toolkit: Toolkit,
    identity: Arc<dyn Identity>,
    cache: MembershipCache,
}

impl WorkspacesService {
    pub fn new(db: Db, config: Config, toolkit: Toolkit, identity: Arc<dyn Identity>) -> Arc<Self> {
        let cache = MembershipCache::new(&toolkit.signals, Duration::from_millis(u64::from(config.membership_cache_ms)));
        Arc::new(Self {
            db,
            config,
            toolkit,
            identity,
            cache,
        })
    }

    /// Tells everybody in this process to forget what they know. Held across a commit and published when dropped:
    /// also when the request is abandoned while its unit commits.
    fn announce(&self, workspace_id: WorkspaceId, user_id: Option<UserId>) -> Announcement<'_> {
        Announcement {
            service: self,
            signal: Some(Signal::MembershipChanged { workspace_id, user_id }),
        }
    }
}

struct Announcement<'a> {
    service: &'a WorkspacesService,
    signal: Option<Signal>,
}

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        if let Some(signal) = self.signal.take() {
            self.service.toolkit.signals.publish(signal);
        }
    }
}

impl Service for WorkspacesService {
    fn name(&self) -> &'static str {
        "workspaces"
    }
    fn db(&self) -> &Db {
        &self.db
    }
    fn routes(self: Arc<Self>) -> OpenApiRouter {
        http::routes(self)
    }
    fn consumers(self: Arc<Self>) -> Vec<Arc<dyn Consumer>> {
        vec![
            Arc::new(events::AccountConsumer::new(self.clone())),
            Arc::new(events::SignalConsumer::new(self)),
        ]
    }
    fn takeout(self: Arc<Self>) -> Option<Arc<dyn platform::takeout::Takeout>> {
        Some(self)
    }

    fn sweeps(self: Arc<Self>) -> Vec<Arc<dyn Sweep>> {
        vec![Arc::new(jobs::Purge::new(self))]
    }
}
