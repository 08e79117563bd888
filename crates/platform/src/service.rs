//! What a service gives to the process that hosts it.

use std::sync::Arc;

use kernel::cursor::CursorCodec;
use kernel::time::SharedClock;

use crate::db::Db;
use crate::due::{DueConfig, DueHandler, Sweep};
use crate::events::Consumer;
use crate::http::OpenApiRouter;
use crate::signals::Signals;
use crate::takeout::Takeout;

/// The few things every service needs besides its database and its config.
#[derive(Clone)]
pub struct Toolkit {
    pub clock: SharedClock,
    pub cursors: CursorCodec,
    pub signals: Signals,
}

/// One bounded context, ready to be hosted.
pub trait Service: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn db(&self) -> &Db;
    /// Routes with their full paths (`/v1/tasks/{id}`) and their OpenAPI description; state applied.
    fn routes(self: Arc<Self>) -> OpenApiRouter;
    fn consumers(self: Arc<Self>) -> Vec<Arc<dyn Consumer>> {
        Vec::new()
    }
    fn due_handlers(self: Arc<Self>) -> Vec<Arc<dyn DueHandler>> {
        Vec::new()
    }
    /// How its due work runs, where the general settings do not suit it.
    fn due_config(&self, general: &DueConfig) -> DueConfig {
        general.clone()
    }
    /// Its share of what people and owners of workspaces can take with them.
    fn takeout(self: Arc<Self>) -> Option<Arc<dyn Takeout>> {
        None
    }
    fn sweeps(self: Arc<Self>) -> Vec<Arc<dyn Sweep>> {
        Vec::new()
    }
}
