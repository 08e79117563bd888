//! Chores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::Result;
use platform::Caller;
use platform::db::Unit;
use platform::due::Sweep;

use crate::NotificationsService;
use crate::store::{event_log, inbox};

/// Erases notifications and log entries that are older than the config keeps them.
pub(crate) struct Retention(pub Arc<NotificationsService>);

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

#[async_trait]
impl Sweep for Retention {
    fn name(&self) -> &'static str {
        "notifications.retention"
    }
    fn every(&self) -> Duration {
        HOUR
    }
    async fn run(&self) -> Result<()> {
        let service = &self.0;
        let config = &service.config;
        let caller = Caller::system(&*service.toolkit.clock, self.name());
        let mut unit = Unit::new(&caller);
        let read_before = caller.now.minus(DAY * config.read_retention_days);
        let created_before = caller.now.minus(DAY * config.unread_retention_days);
        inbox::erase_old(&mut unit, read_before, created_before);
        event_log::erase_before(&mut unit, caller.now.minus(HOUR * config.event_log_retention_hours));
        service.db.apply(unit).await?;
        Ok(())
    }
}
