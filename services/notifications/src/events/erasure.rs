//! Erases what belonged to people, workspaces and projects that are gone, and what members chose who left.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::identity::events::UserDeactivated;
use contracts::workspaces::events::{MemberRemoved, ProjectPurged, WorkspacePurged};
use contracts::{Envelope, EventPayload};
use kernel::Result;
use platform::db::{Db, Unit};
use platform::events::Consumer;

use super::find_payload;
use crate::NotificationsService;
use crate::jobs;
use crate::service::digest;
use crate::store::{event_log, inbox, participants, preferences, settings, subscriptions};

pub(super) struct ErasureConsumer(pub Arc<NotificationsService>);

#[async_trait]
impl Consumer for ErasureConsumer {
    fn name(&self) -> &'static str {
        "notifications.erasure"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[
            MemberRemoved::TYPE,
            ProjectPurged::TYPE,
            UserDeactivated::TYPE,
            WorkspacePurged::TYPE,
        ]
    }
    fn db(&self) -> &Db {
        &self.0.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        if let Some(gone) = find_payload::<UserDeactivated>(event)?.filter(|gone| gone.deleted) {
            inbox::erase_user(unit, gone.user_id);
            preferences::erase_user(unit, gone.user_id);
            participants::erase_user(unit, gone.user_id);
            event_log::erase_user(unit, gone.user_id);
            settings::erase_user(unit, gone.user_id);
            subscriptions::erase_user(unit, gone.user_id);
            digest::unschedule(unit, gone.user_id);
        }
        if let Some(left) = find_payload::<MemberRemoved>(event)? {
            // Not what a person chose who has come back since.
            subscriptions::erase_member(unit, left.workspace_id, left.user_id, event.time);
        }
        // The relay waits for this unit; what may be long is done behind it, in portions.
        let now = self.0.toolkit.clock.now();
        if let Some(purged) = find_payload::<WorkspacePurged>(event)? {
            jobs::schedule_purge(unit, purged.workspace_id, None, now);
        }
        if let Some(purged) = find_payload::<ProjectPurged>(event)? {
            jobs::schedule_purge(unit, purged.workspace_id, Some(purged.project_id), now);
        }
        Ok(())
    }
}
