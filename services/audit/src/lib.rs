//! Audit logs: who did what, from where. One per workspace, one per account, one of the installation.
//!
//! **Invariants**
//! - An action stands in its log exactly when it was done: services record it in the unit that does it, and the event is
//!   written down once, however often it is delivered.
//! - Entries are only added. No function of the store changes one, and only age (the retention sweep) or the end of what a
//!   log is about (a purged workspace, a deleted account) takes entries away, the oldest first or all of them.
//! - Entries of a log are numbered without gaps, and each is sealed together with the seal before it under a key that lies
//!   outside the database: `guildhall verify` notices a changed, removed, inserted or moved entry.
//! - A log is shown to those it is for: owners of the workspace, the person, those who manage the installation.
//!
//! **Events in**: `audit.action_recorded.v1` of every service; purged workspaces, deleted accounts. **Events out**: that a
//! log was exported, as any other action. **Calls**: workspaces (membership), identity (names).

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
use contracts::workspaces::Workspaces;
use platform::db::{Db, Schema, UniqueRule};
use platform::due::Sweep;
use platform::events::Consumer;
use platform::http::OpenApiRouter;
use platform::takeout::Takeout;
use platform::{Service, Toolkit};

pub use config::Config;
pub use model::seal::AuditKey;
pub use service::takeout::DISCLOSED;
pub use store::checks::CHECKS;

/// For `guildhall verify`: walks the seals of every log.
pub mod chain {
    pub use crate::model::seal::Walk;
    pub use crate::model::{Head, SealedEntry};
    pub use crate::store::entries::chain as entries;
    pub use crate::store::logs::page as logs;
}

/// Tables of this service.
pub const SCHEMA: Schema = Schema {
    service: "audit",
    migrations: platform::migrations!["0001_init"],
    unique_rules: &[UniqueRule {
        constraint: "audit_entries_event",
        columns: "audit_entries.id",
        pointer: "",
        code: "audit.entry.duplicate",
        detail: "This action is in its log already.",
    }],
};

/// The logs.
pub struct AuditService {
    db: Db,
    config: Config,
    toolkit: Toolkit,
    key: AuditKey,
    workspaces: Arc<dyn Workspaces>,
    identity: Arc<dyn Identity>,
}

impl AuditService {
    pub fn new(
        db: Db,
        config: Config,
        toolkit: Toolkit,
        key: AuditKey,
        workspaces: Arc<dyn Workspaces>,
        identity: Arc<dyn Identity>,
    ) -> Arc<Self> {
        Arc::new(Self {
            db,
            config,
            toolkit,
            key,
            workspaces,
            identity,
        })
    }
}

impl Service for AuditService {
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
        vec![Arc::new(events::LogConsumer(self))]
    }
    fn takeout(self: Arc<Self>) -> Option<Arc<dyn Takeout>> {
        Some(self)
    }
    fn sweeps(self: Arc<Self>) -> Vec<Arc<dyn Sweep>> {
        vec![Arc::new(jobs::Retention(self))]
    }
}
