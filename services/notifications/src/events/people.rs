//! Keeps digests in step with people's time zones.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::identity::events::ProfileUpdated;
use contracts::{Envelope, EventPayload};
use kernel::Result;
use platform::db::{Db, Unit};
use platform::events::Consumer;

use super::find_payload;
use crate::NotificationsService;
use crate::service::digest;
use crate::store::settings;

pub(super) struct ProfileConsumer(pub Arc<NotificationsService>);

#[async_trait]
impl Consumer for ProfileConsumer {
    fn name(&self) -> &'static str {
        "notifications.profiles"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[ProfileUpdated::TYPE]
    }
    fn db(&self) -> &Db {
        &self.0.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        let Some(profile) = find_payload::<ProfileUpdated>(event)? else {
            return Ok(());
        };
        if let Some(settings) = settings::find(&self.0.db, profile.user_id).await?
            && settings.next_digest_at.is_some()
        {
            digest::reschedule(unit, &settings, &profile.time_zone, self.0.toolkit.clock.now());
        }
        Ok(())
    }
}
