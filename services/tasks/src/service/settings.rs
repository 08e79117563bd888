//! What labels and states have in common: they belong to a workspace, whose members read and whose collaborators change
//! them, and every change is announced.

use contracts::tasks::events::TaskSettingsChanged;
use kernel::Result;
use kernel::ids::WorkspaceId;
use kernel::roles::Permission;
use platform::Caller;
use platform::db::{Reply, Unit};
use platform::http::IfMatch;

use super::TasksService;
use crate::model::{Label, State};

/// A label or a state.
pub(super) trait Setting {
    /// The name in events and paths.
    const WHAT: &'static str;
    fn version(&self) -> i64;
    fn workspace_id(&self) -> WorkspaceId;
}

impl Setting for Label {
    const WHAT: &'static str = "labels";
    fn version(&self) -> i64 {
        self.version
    }
    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }
}

impl Setting for State {
    const WHAT: &'static str = "states";
    fn version(&self) -> i64 {
        self.version
    }
    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }
}

impl TasksService {
    /// What stands before every change: may the caller, what is it now, is it the version the caller means.
    pub(super) async fn setting_to_change<S: Setting>(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        if_match: &IfMatch,
        find: impl Future<Output = Result<S>>,
    ) -> Result<S> {
        let membership = self.membership(caller, workspace_id, Permission::LabelManage).await?;
        let setting = find.await?;
        if_match.check_or_require(setting.version(), membership.strict_concurrency)?;
        Ok(setting)
    }

    pub(super) async fn apply_new_setting<S, V>(&self, mut unit: Unit, setting: S, id: impl std::fmt::Display) -> Result<Reply<V>>
    where
        S: Setting + Into<V> + Send + 'static,
        V: serde::Serialize + Send + 'static,
    {
        announce(&mut unit, &setting);
        let location = format!("/v1/workspaces/{}/{}/{id}", setting.workspace_id(), S::WHAT);
        let reply = self.db.apply_reply(unit, move |_| Ok(Reply::created(setting.into(), 1, location)));
        Ok(reply.await?)
    }

    /// `unit` is empty when nothing changed; then nothing is announced.
    pub(super) async fn apply_setting<S, V>(&self, mut unit: Unit, setting: S) -> Result<Reply<V>>
    where
        S: Setting + Into<V> + Send + 'static,
        V: serde::Serialize + Send + 'static,
    {
        if !unit.is_empty() {
            announce(&mut unit, &setting);
        }
        let version = setting.version();
        let reply = self.db.apply_reply(unit, move |_| Ok(Reply::ok(setting.into(), version)));
        Ok(reply.await?)
    }
}

pub(super) fn announce<S: Setting>(unit: &mut Unit, setting: &S) {
    settings_changed(unit, setting.workspace_id(), S::WHAT);
}

pub(super) fn settings_changed(unit: &mut Unit, workspace_id: WorkspaceId, what: &str) {
    unit.emit(&TaskSettingsChanged {
        workspace_id,
        changed: vec![what.to_owned()],
    });
}
