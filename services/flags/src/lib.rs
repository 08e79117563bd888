//! Feature flags: typed, by workspace and percentage, changed at run time by those who manage the installation, evaluated with
//! the semantics of [OpenFeature](https://openfeature.dev/specification/) and served by its remote evaluation protocol (OFREP).
//!
//! **Invariants**
//! - Every value of a flag has the flag's type; every variant that a rule names exists.
//! - The same context has the same value on every replica and after every restart; who is in a share stays in it while it grows.
//! - A workspace in a context is one that the caller belongs to.
//! - A change counts in this process at once, in others within the seconds of a cache, and stands in the installation's audit log.
//!
//! **Events in**: none. **Events out**: none of its own. **Calls**: workspaces (membership). Called by other services, which ask
//! for their own switches with a default.

pub(crate) mod api;
mod error;
mod http;
mod model;
mod service;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use contracts::workspaces::Workspaces;
use platform::db::{Db, Schema};
use platform::http::OpenApiRouter;
use platform::takeout::{Disclosure, Given};
use platform::{Service, Toolkit};

use crate::service::snapshot::Snapshots;

pub use store::checks::CHECKS;

/// Tables of this service.
pub const SCHEMA: Schema = Schema {
    service: "flags",
    migrations: platform::migrations!["0001_init"],
    // The only one is the key itself, and making a flag answers for it.
    unique_rules: &[],
};

/// What becomes of its tables when people and owners take their data with them.
pub const DISCLOSED: &[Disclosure] = &[Disclosure::new(
    "flags",
    Given::Not(OF_THE_INSTALLATION),
    Given::Not(OF_THE_INSTALLATION),
)];

const OF_THE_INSTALLATION: &str = "what the operator decided for the installation; what it decides for a person can be asked at any time";

/// The flags.
pub struct FlagsService {
    db: Db,
    toolkit: Toolkit,
    workspaces: Arc<dyn Workspaces>,
    snapshots: Snapshots,
}

impl FlagsService {
    pub fn new(db: Db, toolkit: Toolkit, workspaces: Arc<dyn Workspaces>) -> Arc<Self> {
        Arc::new(Self {
            snapshots: Snapshots::new(db.clone(), toolkit.clock.clone()),
            db,
            toolkit,
            workspaces,
        })
    }
}

impl Service for FlagsService {
    fn name(&self) -> &'static str {
        SCHEMA.service
    }
    fn db(&self) -> &Db {
        &self.db
    }
    fn routes(self: Arc<Self>) -> OpenApiRouter {
        http::router(self)
    }
}
