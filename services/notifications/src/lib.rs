//! notifications: the inbox, notification mails, and live events.
//!
//! **Purpose.** Turns what happened elsewhere into news for the people concerned: a row in their inbox, a mail, or both, as
//! they prefer; and lets programs watch a workspace live with server-sent events.
//!
//! **Invariants.**
//! - One notification per event and person, on each channel for the most specific reason that the person left on; never the
//!   actor, never somebody without access.
//! - What a person muted is silent but for what is addressed to them; at most one digest per person and local day, never empty.
//! - What a person lost access to is not shown to them, although it was delivered while they had it.
//! - Numbers of a workspace's event log grow in commit order, so a reader that has seen `n` has missed nothing below.
//! - The log holds public envelopes only: no session ids, no request ids.
//!
//! **Events in**: tasks, workspaces, identity (see [`events`]). **Events out**: `notifications.notification_created.v1`.
//! **Calls**: workspaces (access), identity (names, addresses, sessions), tasks (keys).

mod config;
mod error;
mod events;
mod http;
mod jobs;
mod model;
mod service;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use contracts::identity::Identity;
use contracts::tasks::Tasks;
use contracts::workspaces::Workspaces;
use platform::db::{Db, Schema, UniqueRule};
use platform::due::{DueHandler, Sweep};
use platform::events::Consumer;
use platform::http::OpenApiRouter;
use platform::{Service, Toolkit};

pub use crate::http::takeout::DISCLOSED;
pub use config::Config;
pub use store::checks::CHECKS;

/// Tables of this service.
pub const SCHEMA: Schema = Schema {
    service: "notifications",
    migrations: platform::migrations!["0001_init", "0002_told_per_channel", "0003_digest_and_subscriptions"],
    unique_rules: &[
        UniqueRule {
            constraint: "notifications_event_user",
            columns: "notifications.event_id, notifications.user_id",
            pointer: "",
            code: "notifications.notification.duplicate",
            detail: "This person was notified of this event already.",
        },
        UniqueRule {
            constraint: "event_log_event",
            columns: "event_log.event_id",
            pointer: "",
            code: "notifications.event.duplicate",
            detail: "This event lies in the log already.",
        },
    ],
};

/// The inbox and the live events.
pub struct NotificationsService {
    db: Db,
    config: Config,
    toolkit: Toolkit,
    workspaces: Arc<dyn Workspaces>,
    identity: Arc<dyn Identity>,
    tasks: Arc<dyn Tasks>,
    hub: service::hub::Hub,
}

impl NotificationsService {
    pub fn new(
        db: Db,
        config: Config,
        toolkit: Toolkit,
        workspaces: Arc<dyn Workspaces>,
        identity: Arc<dyn Identity>,
        tasks: Arc<dyn Tasks>,
    ) -> Arc<Self> {
        Arc::new(Self {
            db,
            config,
            toolkit,
            workspaces,
            identity,
            tasks,
            hub: service::hub::Hub::new(),
        })
    }
}

impl Service for NotificationsService {
    fn name(&self) -> &'static str {
        SCHEMA.service
    }
    fn db(&self) -> &Db {
        &self.db
    }
    fn routes(self: Arc<Self>) -> OpenApiRouter {
        http::router(self)
    }
    fn consumers(self: Arc<Self>) -> Vec<Arc<dyn Consumer>> {
        events::consumers(&self)
    }
    fn due_handlers(self: Arc<Self>) -> Vec<Arc<dyn DueHandler>> {
        vec![Arc::new(jobs::Purge(Arc::clone(&self))), Arc::new(jobs::SendDigest(self))]
    }
    fn takeout(self: Arc<Self>) -> Option<Arc<dyn platform::takeout::Takeout>> {
        Some(self)
    }

    fn sweeps(self: Arc<Self>) -> Vec<Arc<dyn Sweep>> {
        vec![Arc::new(jobs::Retention(self))]
    }
}
