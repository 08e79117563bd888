//! Outbox, relay, inbox: facts leave a service in the transaction that made them true and reach every
//! consumer at least once, in order per aggregate; the inbox row in the consumer's own unit makes it once.

pub mod store;

use async_trait::async_trait;
use contracts::Envelope;
use kernel::Result;

use crate::db::{Db, Unit};

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
    /// aggregate wait behind it.
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()>;
}
