//! What other services announce and this one acts on.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::Envelope;
use contracts::event::EventPayload;
use contracts::workspaces::events::{MemberRemoved, ProjectPurged, ProjectUpdated, WorkspaceCreated, WorkspacePurged};
use kernel::{Error, Result};
use platform::db::{Db, Unit};
use platform::events::Consumer;

use crate::TasksService;
use crate::{jobs, store};

/// Keeps tasks in step with workspaces.
pub(crate) struct WorkspaceEvents(pub Arc<TasksService>);

#[async_trait]
impl Consumer for WorkspaceEvents {
    fn name(&self) -> &'static str {
        "tasks.workspaces"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[
            WorkspaceCreated::TYPE,
            ProjectUpdated::TYPE,
            MemberRemoved::TYPE,
            ProjectPurged::TYPE,
            WorkspacePurged::TYPE,
        ]
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        if let Some(created) = payload::<WorkspaceCreated>(event)? {
            // A person may have been faster: states are also made on first use. Two at the same moment: the marker's
            // primary key fails this unit, and the next delivery finds the states.
            if store::states::list(&self.0.db, created.workspace_id).await?.is_empty() {
                self.0.seed_states(unit, created.workspace_id);
            }
        } else if let Some(updated) = payload::<ProjectUpdated>(event)? {
            store::tasks::rename_project_key(unit, updated.workspace_id, updated.project_id, &updated.key);
        } else if let Some(removed) = payload::<MemberRemoved>(event)? {
            jobs::schedule_unassign(unit, removed.workspace_id, removed.user_id, self.0.toolkit.clock.now());
        } else if let Some(purged) = payload::<WorkspacePurged>(event)? {
            jobs::schedule_purge(unit, purged.workspace_id, None, self.0.toolkit.clock.now());
        } else if let Some(purged) = payload::<ProjectPurged>(event)? {
            jobs::schedule_purge(unit, purged.workspace_id, Some(purged.project_id), self.0.toolkit.clock.now());
        }
        Ok(())
    }
}

fn payload<P: EventPayload>(event: &Envelope) -> Result<Option<P>> {
    event.payload::<P>().transpose().map_err(Error::internal)
}
