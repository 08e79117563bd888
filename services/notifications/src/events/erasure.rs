//! Erases what belonged to people and workspaces that are gone.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::identity::events::UserDeactivated;
use contracts::workspaces::events::WorkspacePurged;
use contracts::{Envelope, EventPayload};
use kernel::Result;
use platform::db::{Db, Unit};
use platform::events::Consumer;

use super::find_payload;
use crate::NotificationsService;
use crate::store::{event_log, inbox, participants, preferences};

pub(super) struct ErasureConsumer(pub Arc<NotificationsService>);

#[async_trait]
impl Consumer for ErasureConsumer {
    fn name(&self) -> &'static str {
        "notifications.erasure"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[UserDeactivated::TYPE, WorkspacePurged::TYPE]
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
        }
        if let Some(purged) = find_payload::<WorkspacePurged>(event)? {
            inbox::erase_workspace(unit, purged.workspace_id);
            participants::erase_workspace(unit, purged.workspace_id);
            event_log::erase_workspace(unit, purged.workspace_id);
        }
        Ok(())
    }
}
