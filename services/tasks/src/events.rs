//! What other services announce and this one acts on.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::Envelope;
use contracts::event::EventPayload;
use contracts::identity::events::{EmailVerified, UserDeactivated};
use contracts::workspaces::events::{
    MemberRemoved, ProjectPurged, ProjectRestored, ProjectUpdated, RoleChanged, WorkspaceCreated, WorkspacePurged,
};
use kernel::roles::Role;
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
            ProjectRestored::TYPE,
            RoleChanged::TYPE,
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
            if updated.changed.iter().any(|field| field == "private") {
                jobs::schedule_unassign_lost(unit, updated.workspace_id, updated.project_id, self.0.toolkit.clock.now());
            }
        } else if let Some(restored) = payload::<ProjectRestored>(event)? {
            // Who lost the access while the project was deleted was left alone: nobody could be asked who may read it.
            jobs::schedule_unassign_lost(unit, restored.workspace_id, restored.project_id, self.0.toolkit.clock.now());
        } else if let Some(changed) = payload::<RoleChanged>(event)? {
            // A project role that goes, or the ownership that opened every project. Any other change leaves what can be read.
            if changed.new_role.is_none() || changed.old_role == Some(Role::Owner) {
                jobs::schedule_unassign(unit, changed.workspace_id, changed.user_id, self.0.toolkit.clock.now());
            }
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

/// The link of a calendar feed is all that it takes to read it.
pub(crate) struct PeopleEvents(pub Arc<TasksService>);

#[async_trait]
impl Consumer for PeopleEvents {
    fn name(&self) -> &'static str {
        "tasks.people"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[EmailVerified::TYPE, UserDeactivated::TYPE]
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        if let Some(verified) = payload::<EmailVerified>(event)? {
            if verified.reclaimed {
                store::feeds::delete_of_user(unit, verified.user_id);
            }
        } else if let Some(deactivated) = payload::<UserDeactivated>(event)?
            && deactivated.deleted
        {
            store::feeds::delete_of_user(unit, deactivated.user_id);
        }
        Ok(())
    }
}

fn payload<P: EventPayload>(event: &Envelope) -> Result<Option<P>> {
    event.payload::<P>().transpose().map_err(Error::internal)
}
