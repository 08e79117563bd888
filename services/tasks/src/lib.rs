//! tasks: work items of a project, with their comments, labels, workflow states and history.
//!
//! Invariants:
//! - A task's number is given once per project, in commit order; `ABC-123` never changes its meaning.
//! - `version` grows with everything the API shows of a task, its counters included, so the `ETag` is strong.
//! - `status` is always the meaning of the task's state; a state never changes its meaning.
//! - Sub-tasks lie in the project of their parent, form no cycle and at most five levels.
//! - Going along `blocks` never leads back to where one came from, and neither does going along `duplicates`.
//! - A series of recurring tasks has one present task; each occurrence makes at most one.
//! - Every change writes rows, history, search terms, events and reminders in one [`platform::db::Unit`]; a change
//!   that changes nothing writes nothing and announces nothing.
//!
//! Events out: `contracts::tasks::events`. Events in: `workspaces.workspace_created.v1` (default states),
//! `workspaces.project_updated.v1` (project keys), `workspaces.member_removed.v1` (assignments),
//! `workspaces.workspace_purged.v1` (everything).

mod api;
mod command;
mod config;
mod error;
mod events;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod http;
mod jobs;
mod model;
mod query;
mod service;
mod store;
mod view;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use service::TasksService;
pub use service::takeout::DISCLOSED;
pub use store::checks::CHECKS;

use std::sync::Arc;

use platform::Service;
use platform::db::{Db, Schema, UniqueRule};
use platform::due::{DueHandler, Sweep};
use platform::events::Consumer;
use platform::http::OpenApiRouter;

/// Tables of this service.
pub const SCHEMA: Schema = Schema {
    service: "tasks",
    migrations: platform::migrations![
        "0001_init",
        "0002_search",
        "0003_relations",
        "0004_views",
        "0005_recurrences",
        "0006_feeds",
        "0007_trash",
        "0008_exports",
        "0009_priority"
    ],
    unique_rules: &[
        UniqueRule {
            constraint: "task_states_name_unique",
            columns: "task_states.workspace_id, task_states.name_folded",
            pointer: "/name",
            code: "tasks.state.name_taken",
            detail: "Another state of the workspace has this name.",
        },
        UniqueRule {
            constraint: "task_states_default_unique",
            columns: "task_states.workspace_id, task_states.is_default",
            pointer: "/is_default",
            code: "tasks.state.default_changed",
            detail: "The default state changed meanwhile; read the states again.",
        },
        UniqueRule {
            constraint: "labels_name_unique",
            columns: "labels.workspace_id, labels.name_folded",
            pointer: "/name",
            code: "tasks.label.name_taken",
            detail: "Another label of the workspace has this name.",
        },
        UniqueRule {
            constraint: "task_views_default_unique",
            columns: "task_views.default_for",
            pointer: "/is_default",
            code: "tasks.view.default_changed",
            detail: "The default view changed meanwhile; read the views again.",
        },
    ],
};

impl Service for TasksService {
    fn name(&self) -> &'static str {
        "tasks"
    }

    fn db(&self) -> &Db {
        &self.db
    }

    fn routes(self: Arc<Self>) -> OpenApiRouter {
        http::routes(self)
    }

    fn consumers(self: Arc<Self>) -> Vec<Arc<dyn Consumer>> {
        vec![
            Arc::new(events::WorkspaceEvents(Arc::clone(&self))),
            Arc::new(events::PeopleEvents(self)),
        ]
    }

    fn due_handlers(self: Arc<Self>) -> Vec<Arc<dyn DueHandler>> {
        jobs::handlers(&self)
    }

    fn takeout(self: Arc<Self>) -> Option<Arc<dyn platform::takeout::Takeout>> {
        Some(self)
    }

    fn sweeps(self: Arc<Self>) -> Vec<Arc<dyn Sweep>> {
        vec![Arc::new(jobs::PurgeDeleted(self.clone())), Arc::new(jobs::Refold(self))]
    }
}
