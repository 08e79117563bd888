//! What is done with the events of others.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::audit::Log;
use contracts::audit::events::ActionRecorded;
use contracts::identity::events::UserDeactivated;
use contracts::workspaces::events::WorkspacePurged;
use contracts::{Envelope, EventPayload};
use kernel::{Error, Result};
use platform::db::{Db, Unit};
use platform::events::Consumer;

use crate::AuditService;
use crate::model::log_id;
use crate::store;

/// Writes actions down, and erases logs whose workspace or account is gone. One consumer for both, so that what was done
/// before the end is not written down after it.
pub(crate) struct LogConsumer(pub Arc<AuditService>);

fn find_payload<P: EventPayload>(event: &Envelope) -> Result<Option<P>> {
    event.payload::<P>().transpose().map_err(Error::internal)
}

#[async_trait]
impl Consumer for LogConsumer {
    fn name(&self) -> &'static str {
        "audit.logs"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[ActionRecorded::TYPE, WorkspacePurged::TYPE, UserDeactivated::TYPE]
    }
    fn db(&self) -> &Db {
        &self.0.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        if let Some(recorded) = find_payload::<ActionRecorded>(event)? {
            self.0.append(event, recorded, unit).await?;
        }
        if let Some(purged) = find_payload::<WorkspacePurged>(event)? {
            store::logs::erase(unit, log_id(Log::Workspace(purged.workspace_id)));
        }
        if let Some(gone) = find_payload::<UserDeactivated>(event)?
            && gone.deleted
        {
            store::logs::erase(unit, log_id(Log::Account(gone.user_id)));
        }
        Ok(())
    }
}
