//! Chores, digests, and the clean-up after workspaces and projects.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::ids::{ProjectId, WorkspaceId};
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::db::Unit;
use platform::due::{Due, DueHandler, DueItem, Sweep};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::NotificationsService;
use crate::service::digest::{self, DigestDue};
use crate::store::purge::Area;
use crate::store::{event_log, inbox, purge};

/// Erases notifications and log entries that are older than the config keeps them.
pub(crate) struct Retention(pub Arc<NotificationsService>);

const PURGE: &str = "notifications.purge";
/// Rows of each kind per unit: short transactions, whatever the size of the workspace.
const PORTION: u64 = 256;

#[derive(Debug, Serialize, Deserialize)]
struct Doomed {
    workspace_id: WorkspaceId,
    project_id: Option<ProjectId>,
}

/// Erases all that is left of a workspace, or of one project of it. Scheduled twice, it finds nothing the second time.
pub(crate) fn schedule_purge(unit: &mut Unit, workspace_id: WorkspaceId, project_id: Option<ProjectId>, now: Timestamp) {
    unit.schedule(Due {
        kind: PURGE,
        key: Some(project_id.map_or_else(|| workspace_id.to_string(), |project_id| project_id.to_string())),
        payload: json!(Doomed { workspace_id, project_id }),
        run_at: now,
    });
}

pub(crate) struct Purge(pub Arc<NotificationsService>);

#[async_trait]
impl DueHandler for Purge {
    fn kind(&self) -> &'static str {
        PURGE
    }
    async fn run(&self, item: &DueItem) -> Result<()> {
        let service = &self.0;
        let Doomed { workspace_id, project_id } = serde_json::from_value(item.payload.clone()).map_err(Error::internal)?;
        let area = Area { workspace_id, project_id };
        loop {
            let portion = purge::portion(&service.db, area, PORTION).await?;
            let mut unit = Unit::new(&Caller::system(&*service.toolkit.clock, item.request_id.as_str()));
            purge::erase(&mut unit, area, &portion);
            let done = portion.is_empty();
            if done && project_id.is_none() {
                purge::erase_counter(&mut unit, workspace_id);
            }
            service.db.apply(unit).await?;
            if done {
                return Ok(());
            }
        }
    }
}

pub(crate) struct SendDigest(pub Arc<NotificationsService>);

#[async_trait]
impl DueHandler for SendDigest {
    fn kind(&self) -> &'static str {
        digest::KIND
    }
    async fn run(&self, item: &DueItem) -> Result<()> {
        let service = &self.0;
        let DigestDue { user_id, at } = serde_json::from_value(item.payload.clone()).map_err(Error::internal)?;
        let caller = Caller::system(&*service.toolkit.clock, item.request_id.as_str());
        service.send_digest(&caller, user_id, at).await
    }
}

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
