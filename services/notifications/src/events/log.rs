//! Writes every workspace event into the log that live streams replay.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::notifications::events::NotificationCreated;
use contracts::tasks::events::{
    CommentCreated, CommentDeleted, CommentUpdated, TaskArchived, TaskAssigned, TaskCompleted, TaskCreated, TaskDeleted, TaskDueSoon,
    TaskOverdue, TaskRelated, TaskReopened, TaskRestored, TaskSettingsChanged, TaskUnrelated, TaskUpdated, TasksImported,
};
use contracts::workspaces::events::{
    MemberAdded, MemberInvited, MemberRemoved, ProjectCreated, ProjectDeleted, ProjectRestored, ProjectUpdated, RoleChanged,
    WorkspaceDeleted, WorkspaceRestored, WorkspaceUpdated,
};
use contracts::{Envelope, EventPayload, PublicEvent};
use kernel::ids::{EntityId, ProjectId};
use kernel::roles::Permission;
use kernel::{Error, Result};
use platform::db::{Db, Unit};
use platform::events::Consumer;

use super::find_payload;
use crate::NotificationsService;
use crate::store::event_log::{self, NewEntry};

pub(super) struct EventLogConsumer(pub Arc<NotificationsService>);

#[async_trait]
impl Consumer for EventLogConsumer {
    fn name(&self) -> &'static str {
        "notifications.event_log"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[
            CommentCreated::TYPE,
            CommentDeleted::TYPE,
            CommentUpdated::TYPE,
            MemberAdded::TYPE,
            MemberInvited::TYPE,
            MemberRemoved::TYPE,
            NotificationCreated::TYPE,
            ProjectCreated::TYPE,
            ProjectDeleted::TYPE,
            ProjectRestored::TYPE,
            ProjectUpdated::TYPE,
            RoleChanged::TYPE,
            TaskArchived::TYPE,
            TaskAssigned::TYPE,
            TaskCompleted::TYPE,
            TaskCreated::TYPE,
            TaskDeleted::TYPE,
            TaskDueSoon::TYPE,
            TaskOverdue::TYPE,
            TaskRelated::TYPE,
            TaskReopened::TYPE,
            TaskRestored::TYPE,
            TaskSettingsChanged::TYPE,
            TaskUnrelated::TYPE,
            TaskUpdated::TYPE,
            TasksImported::TYPE,
            WorkspaceDeleted::TYPE,
            WorkspaceRestored::TYPE,
            WorkspaceUpdated::TYPE,
        ]
    }
    fn db(&self) -> &Db {
        &self.0.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        let Some(entry) = self.entry(event)? else {
            return Ok(());
        };
        event_log::append(unit, &entry);
        self.0.hub.expect(entry.workspace_id);
        Ok(())
    }
}

impl EventLogConsumer {
    /// `None` for facts outside any workspace.
    fn entry(&self, event: &Envelope) -> Result<Option<NewEntry>> {
        let Some(public) = PublicEvent::of(event) else {
            return Ok(None);
        };
        let owner = find_payload::<NotificationCreated>(event)?.map(|created| created.user_id);
        // The address of an invited person concerns only those who may invite.
        let permission = (event.event_type == MemberInvited::TYPE).then_some(Permission::MemberInvite.as_str());
        Ok(Some(NewEntry {
            workspace_id: public.workspaceid,
            event_id: event.id,
            project_id: project_of(event),
            user_id: owner,
            permission,
            envelope: serde_json::to_string(&public).map_err(Error::internal)?,
            event_type: public.event_type,
            created_at: self.0.toolkit.clock.now(),
        }))
    }
}

/// The project whose readers may see the event. A deleted project has none, and its id alone tells nothing, so that
/// news goes to the whole workspace.
fn project_of(event: &Envelope) -> Option<ProjectId> {
    if event.event_type == ProjectDeleted::TYPE {
        return None;
    }
    let text = event.data.get("project_id")?.as_str()?;
    kernel::ids::parse_uuid(text).ok().map(ProjectId::from_uuid)
}
