//! Due work and chores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::Result;
use platform::Caller;
use platform::db::Unit;
use platform::due::{DueHandler, DueItem, Sweep};

use crate::WebhooksService;
use crate::service::{dispatch, notice};
use crate::store::{deliveries, secrets};

/// Rows of one statement, so that no unit holds the writer for long.
const BATCH: u64 = 200;

/// Sends what is due to one webhook.
pub(crate) struct Send(pub Arc<WebhooksService>);

#[async_trait]
impl DueHandler for Send {
    fn kind(&self) -> &'static str {
        dispatch::KIND
    }
    async fn run(&self, item: &DueItem) -> Result<()> {
        self.0.send_due(item).await
    }
}

/// Mails about a webhook that was switched off.
pub(crate) struct Notice(pub Arc<WebhooksService>);

#[async_trait]
impl DueHandler for Notice {
    fn kind(&self) -> &'static str {
        notice::KIND
    }
    async fn run(&self, item: &DueItem) -> Result<()> {
        self.0.send_notice(item).await
    }
}

/// Erases messages that are older than the config keeps them, with their deliveries, and secrets that sign no more.
pub(crate) struct Retention(pub Arc<WebhooksService>);

#[async_trait]
impl Sweep for Retention {
    fn name(&self) -> &'static str {
        "webhooks.retention"
    }
    fn every(&self) -> Duration {
        Duration::from_secs(3_600)
    }
    async fn run(&self) -> Result<()> {
        let service = &self.0;
        let caller = Caller::system(&*service.toolkit.clock, self.name());
        let mut unit = Unit::new(&caller);
        secrets::sweep(&mut unit, caller.now);
        service.db.apply(unit).await?;
        let before = caller.now.minus(service.config.retention());
        loop {
            let ids = deliveries::list_old_messages(&service.db, before, BATCH).await?;
            if ids.is_empty() {
                return Ok(());
            }
            let mut unit = Unit::new(&caller);
            deliveries::delete_messages(&mut unit, &ids);
            service.db.apply(unit).await?;
        }
    }
}

/// Calls for webhooks that should long have been sent to: their due work was given up after an outage.
pub(crate) struct Reminder(pub Arc<WebhooksService>);

/// Older than this is late.
const LATE: Duration = Duration::from_secs(15 * 60);

#[async_trait]
impl Sweep for Reminder {
    fn name(&self) -> &'static str {
        "webhooks.reminder"
    }
    fn every(&self) -> Duration {
        Duration::from_secs(600)
    }
    async fn run(&self) -> Result<()> {
        let service = &self.0;
        let caller = Caller::system(&*service.toolkit.clock, self.name());
        let mut unit = Unit::new(&caller);
        for webhook_id in deliveries::list_late(&service.db, caller.now.minus(LATE), BATCH).await? {
            unit.schedule(dispatch::due(webhook_id, caller.now));
        }
        if !unit.is_empty() {
            service.db.apply(unit).await?;
        }
        Ok(())
    }
}
