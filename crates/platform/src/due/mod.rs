//! Due work: mails, reminders and sweeps that run later, at least once. The job queue will replace it.

mod runner;
pub mod store;

pub(crate) use runner::backoff;
pub use runner::{DueConfig, DueRunner, spawn_sweep};

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Result, Timestamp};
use serde_json::Value;

/// Work to do at a time, stored in the unit that decided it.
#[derive(Debug, Clone)]
pub struct Due {
    /// Matches [`DueHandler::kind`].
    pub kind: &'static str,
    /// With the same kind: replaces what waits. `None`: independent.
    pub key: Option<String>,
    pub payload: Value,
    pub run_at: Timestamp,
}

/// One item handed to its handler.
#[derive(Debug, Clone)]
pub struct DueItem {
    pub id: uuid::Uuid,
    pub kind: String,
    pub key: Option<String>,
    pub payload: Value,
    /// From 1.
    pub attempt: i32,
    pub request_id: String,
}

/// Runs one kind of due work. An `Err` is retried with exponential backoff and jitter, until it is given up
/// (kept as dead, logged, counted). Handlers are idempotent: an item can run twice.
#[async_trait]
pub trait DueHandler: Send + Sync + 'static {
    fn kind(&self) -> &'static str;
    async fn run(&self, item: &DueItem) -> Result<()>;
}

/// A chore at a fixed interval, harmless when several replicas run it.
#[async_trait]
pub trait Sweep: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn every(&self) -> Duration;
    async fn run(&self) -> Result<()>;
}
