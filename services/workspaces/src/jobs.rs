//! Sweeps: what was deleted long enough ago goes for ever.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::audit::{Action, Entry, Log};
use contracts::workspaces::events::WorkspacePurged;
use kernel::ids::ProjectId;
use kernel::{ErrorKind, Result, Timestamp};
use platform::Caller;
use platform::db::{DbError, Unit};
use platform::due::Sweep;

use crate::WorkspacesService;
use crate::model::{Project, Workspace};
use crate::service::access::Scope;
use crate::store;

/// Rows of one statement, so that no unit holds the writer for long.
const BATCH: u64 = 200;
/// After the last moment of restoring, so that clocks of replicas need not agree.
const SLACK: Duration = Duration::from_secs(60 * 60);
/// Ended invitations stay this long after their expiry, for the list.
const KEEP_INVITATIONS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(crate) struct Purge {
    service: Arc<WorkspacesService>,
}

impl Purge {
    pub fn new(service: Arc<WorkspacesService>) -> Self {
        Self { service }
    }

    fn caller(&self) -> Caller {
        Caller::system(&*self.service.toolkit.clock, "workspaces.purge")
    }

    async fn purge_workspace(&self, workspace: &Workspace, cutoff: Timestamp) -> Result<()> {
        let scope = Scope::for_system(workspace.id);
        let db = &self.service.db;
        loop {
            let projects = store::projects::list_of_workspace(db, &scope, BATCH).await?;
            if projects.is_empty() {
                break;
            }
            let ids: Vec<ProjectId> = projects.iter().map(|project| project.id).collect();
            let mut unit = Unit::new(&self.caller());
            store::project_members::purge(&mut unit, &scope, &ids);
            store::projects::purge(&mut unit, &scope, &ids);
            db.apply(unit).await?;
        }
        let mut unit = Unit::new(&self.caller());
        store::invitations::purge(&mut unit, &scope);
        store::members::purge(&mut unit, &scope);
        store::workspaces::purge(&mut unit, &scope, cutoff);
        unit.emit(&WorkspacePurged {
            workspace_id: workspace.id,
        });
        // Its own log ends with it.
        unit.record(
            Entry::new(Log::Installation, Action::WorkspacePurged, "workspace")
                .id(workspace.id)
                .name(workspace.name.as_str()),
        );
        ignore_gone(db.apply(unit).await.map(drop))
    }

    async fn purge_project(&self, project: &Project, cutoff: Timestamp) -> Result<()> {
        let scope = Scope::for_system(project.workspace_id);
        let mut unit = Unit::new(&self.caller());
        WorkspacesService::purge_project_in(&mut unit, &scope, project, cutoff);
        ignore_gone(self.service.db.apply(unit).await.map(drop))
    }

    async fn purge_invitations(&self, cutoff: Timestamp) -> Result<()> {
        loop {
            let ids = store::invitations::list_old(&self.service.db, cutoff, BATCH).await?;
            if ids.is_empty() {
                return Ok(());
            }
            let mut unit = Unit::new(&self.caller());
            store::invitations::delete_old(&mut unit, &ids, cutoff);
            self.service.db.apply(unit).await?;
        }
    }
}

/// Another replica purged it first.
fn ignore_gone(done: std::result::Result<(), DbError>) -> Result<()> {
    match done {
        Err(DbError::Guard(guard)) if guard.kind == ErrorKind::NotFound => Ok(()),
        done => Ok(done?),
    }
}

#[async_trait]
impl Sweep for Purge {
    fn name(&self) -> &'static str {
        "workspaces.purge"
    }
    fn every(&self) -> Duration {
        Duration::from_secs(60 * 60)
    }
    async fn run(&self) -> Result<()> {
        let now = self.service.toolkit.clock.now();
        let cutoff = now.minus(self.service.config.restore_time()).minus(SLACK);
        loop {
            let workspaces = store::workspaces::list_purgeable(&self.service.db, cutoff, BATCH).await?;
            for workspace in &workspaces {
                self.purge_workspace(workspace, cutoff).await?;
            }
            let projects = store::projects::list_purgeable(&self.service.db, cutoff, BATCH).await?;
            for project in &projects {
                self.purge_project(project, cutoff).await?;
            }
            if workspaces.is_empty() && projects.is_empty() {
                break;
            }
        }
        self.purge_invitations(now.minus(KEEP_INVITATIONS)).await
    }
}
