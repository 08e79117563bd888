//! Chores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::{Result, Timestamp};
use platform::Caller;
use platform::db::{DbError, Unit};
use platform::due::Sweep;

use crate::AuditService;
use crate::error::LOG_GREW;
use crate::model::Head;
use crate::store::{entries, logs};

/// Rows of one statement, so that no unit holds the writer for long.
const BATCH: u64 = 200;

/// Takes the oldest entries of each log away when they are older than the configuration keeps them. The only hand that takes
/// single entries; the chain goes on behind them.
pub(crate) struct Retention(pub Arc<AuditService>);

impl Retention {
    async fn shorten(&self, mut head: Head, cutoff: Timestamp) -> Result<()> {
        let service = &self.0;
        loop {
            let oldest = entries::list(&service.db, entries::chain(head.log_id, head.first_seq - 1, BATCH)).await?;
            let full = oldest.len() as u64 == BATCH;
            // An older entry that came behind a younger one waits until that is old too: the chain has no holes.
            let Some(last) = oldest.into_iter().take_while(|sealed| sealed.entry.occurred_at < cutoff).last() else {
                return Ok(());
            };
            let mut unit = Unit::new(&Caller::system(&*service.toolkit.clock, self.name()));
            let shorter = head.clone().shorten(&last, &service.key);
            logs::shorten(&mut unit, &head, &shorter);
            match service.db.apply(unit).await {
                // Another replica does the same, or an entry has come: next time.
                Err(DbError::Guard(guard)) if guard == LOG_GREW => return Ok(()),
                done => drop(done?),
            }
            if !full {
                return Ok(());
            }
            head = shorter;
        }
    }
}

#[async_trait]
impl Sweep for Retention {
    fn name(&self) -> &'static str {
        "audit.retention"
    }
    fn every(&self) -> Duration {
        Duration::from_secs(3_600)
    }
    async fn run(&self) -> Result<()> {
        let service = &self.0;
        let cutoff = service.toolkit.clock.now().minus(service.config.retention());
        let mut after = None;
        loop {
            let heads = logs::list_old(&service.db, cutoff, after, BATCH).await?;
            let Some(last) = heads.last() else { return Ok(()) };
            after = Some(last.log_id);
            for head in heads {
                self.shorten(head, cutoff).await?;
            }
        }
    }
}
