//! webhooks: a workspace's events, sent to programs of its own by the Standard Webhooks specification
//! (<https://www.standardwebhooks.com/>).
//!
//! **Purpose.** Administrators of a workspace name URLs and the events they want there; every such event is sent as a
//! signed POST, again and again over three days until the receiver answers 2xx. What was sent, when, and what came back
//! can be read and sent again.
//!
//! **Invariants.**
//! - One delivery per event and webhook, even when the event is delivered twice; sent at least once, with the same id.
//! - What is sent is the public event, the same that live streams show.
//! - Secrets are sealed at rest and shown once. One that was replaced signs until the end it was promised, unless somebody ends it.
//! - A request goes only where [`platform::egress::Egress`] lets it, judged anew each time.
//! - One webhook's receiver cannot delay another's messages.
//! - A workspace has at most `max_per_workspace` webhooks, however many are made at once.
//!
//! **Events in**: all public ones of the catalog besides people's own notifications; purged workspaces and projects.
//! **Events out**: `webhooks.*` (see [`contracts::webhooks::events`]). **Calls**: workspaces (access, members), identity (addresses),
//! flags (whether webhooks are offered).

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

use contracts::flags::Flags;
use contracts::identity::Identity;
use contracts::workspaces::Workspaces;
use platform::db::{Db, Schema, UniqueRule};
use platform::due::{DueConfig, DueHandler, Sweep};
use platform::egress::Egress;
use platform::events::Consumer;
use platform::http::OpenApiRouter;
use platform::seal::SealKey;
use platform::{Service, Toolkit};
use tokio::sync::Semaphore;

pub use config::Config;
pub use service::takeout::DISCLOSED;
pub use store::checks::CHECKS;

/// Tables of this service.
pub const SCHEMA: Schema = Schema {
    service: "webhooks",
    migrations: platform::migrations!["0001_init", "0002_turns", "0003_old_secrets"],
    unique_rules: &[UniqueRule {
        constraint: "webhook_deliveries_once",
        columns: "webhook_deliveries.webhook_id, webhook_deliveries.message_id",
        pointer: "",
        code: "webhooks.delivery.duplicate",
        detail: "This event is being delivered to this webhook already.",
    }],
};

/// Webhooks and what is sent to them.
pub struct WebhooksService {
    db: Db,
    config: Config,
    toolkit: Toolkit,
    seal_key: SealKey,
    workspaces: Arc<dyn Workspaces>,
    identity: Arc<dyn Identity>,
    egress: Arc<dyn Egress>,
    flags: Arc<dyn Flags>,
    /// Places of this process for webhooks that fail.
    failing_places: Semaphore,
}

impl WebhooksService {
    #[expect(
        clippy::too_many_arguments,
        reason = "its database, its config, and the parties it calls, each named at the one call"
    )]
    pub fn new(
        db: Db,
        config: Config,
        toolkit: Toolkit,
        seal_key: SealKey,
        workspaces: Arc<dyn Workspaces>,
        identity: Arc<dyn Identity>,
        egress: Arc<dyn Egress>,
        flags: Arc<dyn Flags>,
    ) -> Arc<Self> {
        let failing_places = Semaphore::new((config.concurrency / 2).max(1) as usize);
        Arc::new(Self {
            db,
            config,
            toolkit,
            seal_key,
            workspaces,
            identity,
            egress,
            flags,
            failing_places,
        })
    }
}

impl Service for WebhooksService {
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
        vec![Arc::new(jobs::Send(Arc::clone(&self))), Arc::new(jobs::Notice(self))]
    }
    fn due_config(&self, general: &DueConfig) -> DueConfig {
        self.sending_config(general)
    }
    fn takeout(self: Arc<Self>) -> Option<Arc<dyn platform::takeout::Takeout>> {
        Some(self)
    }

    fn sweeps(self: Arc<Self>) -> Vec<Arc<dyn Sweep>> {
        vec![Arc::new(jobs::Retention(Arc::clone(&self))), Arc::new(jobs::Reminder(self))]
    }
}
