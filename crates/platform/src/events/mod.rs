//! Outbox, relay, inbox: facts leave a service in the transaction that made them true and reach every
//! consumer at least once, in order per aggregate; the inbox row in the consumer's own unit makes it once.
//!
//! The path of an event: [`Unit::emit`] writes it to `outbox`, in the unit of the change. The [`Relay`] of that
//! database, one replica at a time by lease, hands it to each [`Consumer`] that wants its type, then removes the row.
//! Lanes (one per consumer and aggregate) keep the order; a failing lane rests with backoff while the others go on,
//! and an event that keeps failing is parked (`parked_at` is set), logged and counted, never dropped.

mod deliver;
mod relay;
mod retention;
pub mod store;
mod window;

use async_trait::async_trait;
use contracts::Envelope;
use kernel::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::HumanDuration;
use crate::db::{Db, Unit};

pub use relay::Relay;
pub use retention::RetentionSweep;
pub use store::{ParkedEvent, list_parked, requeue_parked};

/// Turns events into a unit of its own database. The relay adds the inbox row and applies the unit,
/// so a second delivery changes nothing.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Unique in the installation and stable: the inbox is keyed by it.
    fn name(&self) -> &'static str;
    /// Event types it wants.
    fn event_types(&self) -> &'static [&'static str];
    /// Where the unit goes.
    fn db(&self) -> &Db;
    /// Reads and decides; writes only into `unit`. An `Err` is retried with backoff; later events of the same
    /// aggregate wait behind it. `Unavailable` is retried for ever, anything else is given up after
    /// [`EventsConfig::max_attempts`].
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()>;
}

/// Events between services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// How often the outbox is looked at when nothing wakes the relay.
    pub poll: HumanDuration,
    /// Deliveries that run at the same time, per service.
    pub concurrency: u32,
    /// Undelivered events held in memory, per service.
    pub window: u32,
    /// How long one delivery may take.
    pub timeout: HumanDuration,
    /// Attempts before an event is parked for a consumer.
    pub max_attempts: u32,
    /// Pause after the first failure; doubles with every further one.
    pub backoff: HumanDuration,
    /// The longest pause.
    pub backoff_max: HumanDuration,
    /// How long a replica that died keeps the relay from the others.
    pub lease: HumanDuration,
    /// How long it is remembered which events were handled. At least 7 days.
    pub inbox_retention: HumanDuration,
    /// How long given-up due work is kept.
    pub dead_retention: HumanDuration,
    /// Readiness fails when an event waits longer than this for its first attempt.
    pub max_lag: HumanDuration,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            poll: HumanDuration::from_millis(500),
            concurrency: 16,
            window: 10_000,
            timeout: HumanDuration::from_secs(30),
            max_attempts: 20,
            backoff: HumanDuration::from_millis(250),
            backoff_max: HumanDuration::from_mins(5),
            lease: HumanDuration::from_secs(10),
            inbox_retention: HumanDuration::from_days(14),
            dead_retention: HumanDuration::from_days(90),
            max_lag: HumanDuration::from_mins(1),
        }
    }
}

impl EventsConfig {
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, value) in [
            ("concurrency", self.concurrency),
            ("window", self.window),
            ("max_attempts", self.max_attempts),
        ] {
            if value == 0 {
                problems.push(format!("events.{name}: must be at least 1"));
            }
        }
        for (name, value) in [("poll", self.poll), ("timeout", self.timeout), ("backoff", self.backoff)] {
            if value.get().is_zero() {
                problems.push(format!("events.{name}: must be more than nothing"));
            }
        }
        if self.lease < HumanDuration::from_secs(1) {
            problems.push("events.lease: must be at least 1s".to_owned());
        }
        if self.inbox_retention < HumanDuration::from_days(7) {
            problems.push("events.inbox_retention: must be at least 7d, or late repeats are handled twice".to_owned());
        }
        problems
    }
}
