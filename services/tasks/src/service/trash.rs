//! What was deleted in a workspace: tasks, which are ours, and projects, which workspaces tells.

use std::collections::HashMap;

use contracts::audit::Action;
use contracts::workspaces::{ListDeletedProjects, ProjectAccess};
use kernel::cursor::Page;
use kernel::ids::{EntityId, ProjectId, TaskId, UserId, WorkspaceId};
use kernel::roles::Permission;
use kernel::scopes::Scope;
use kernel::{Result, Timestamp};
use platform::Caller;
use platform::db::Unit;
use platform::http::IfMatch;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::draft::audit_entry;
use super::{TasksService, writable_project};
use crate::error::TasksError;
use crate::model::{Task, human_key};
use crate::store;
use crate::view::{TrashItem, TrashKind};

/// The last row of a page.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Place {
    at: Timestamp,
    id: Uuid,
}

impl TasksService {
    /// Last deleted first, as far as the caller may restore it. A key without the scope for projects is told of tasks alone.
    pub(crate) async fn list_trash(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        kinds: &[TrashKind],
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<TrashItem>> {
        self.membership(caller, workspace_id, Permission::WorkspaceRead).await?;
        let me = caller.user_id()?;
        let binding = format!("trash|{me}|{workspace_id}|{kinds:?}");
        let before: Option<Place> = self.toolkit.cursors.start(cursor, &binding)?;
        let mut items = Vec::new();
        if kinds.contains(&TrashKind::Task) {
            items.extend(self.deleted_tasks(caller, workspace_id, before, limit + 1).await?);
        }
        if kinds.contains(&TrashKind::Project) && caller.holds(Scope::ProjectsRead) {
            let request = ListDeletedProjects {
                user_id: me,
                workspace_id,
                before: before.map(|place| (place.at, ProjectId::from_uuid(place.id))),
                limit: limit + 1,
            };
            let projects = self.workspaces.list_deleted_projects(&caller.call(), request).await?;
            items.extend(projects.into_iter().map(TrashItem::from));
        }
        items.sort_by_key(|item| std::cmp::Reverse((item.deleted_at, item.id)));
        self.toolkit.cursors.page(items, limit, &binding, |item| Place {
            at: item.deleted_at,
            id: item.id,
        })
    }

    async fn deleted_tasks(&self, caller: &Caller, workspace_id: WorkspaceId, before: Option<Place>, limit: u64) -> Result<Vec<TrashItem>> {
        let mut projects = self.readable_projects(caller, Some(workspace_id)).await?;
        projects.retain(|access| access.role.permits(Permission::TaskDelete));
        let projects: HashMap<ProjectId, ProjectAccess> = projects.into_iter().map(|access| (access.project_id, access)).collect();
        let mut ids: Vec<ProjectId> = projects.keys().copied().collect();
        ids.sort_unstable();
        let kept = self.config.restore_time();
        let before = before.map(|place| (place.at, place.id));
        let since = self.toolkit.clock.now().minus(kept);
        let tasks = store::trash::list(&self.db, workspace_id, &ids, since, before, limit).await?;
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
        let deletions = store::trash::list_deletions(&self.db, workspace_id, &ids).await?;
        // The last one counts.
        let deleters: HashMap<TaskId, Option<UserId>> = deletions.into_iter().map(|line| (line.task_id, line.actor_id)).collect();
        let item = |task: store::trash::DeletedTask| TrashItem {
            kind: TrashKind::Task,
            id: task.id.uuid(),
            project_id: task.project_id,
            key: human_key(projects.get(&task.project_id).map_or("", |access| &access.project_key), task.number),
            title: task.title,
            deleted_by: deleters.get(&task.id).copied().flatten(),
            deleted_at: task.deleted_at,
            purge_at: task.deleted_at.plus(kept),
        };
        Ok(tasks.into_iter().map(item).collect())
    }

    /// Erases a deleted task now, with everything below it.
    pub(crate) async fn purge_task(&self, caller: &Caller, task_id: TaskId, if_match: &IfMatch) -> Result<()> {
        let (task, access) = self.task_even_deleted(caller, task_id, Permission::TrashPurge).await?;
        writable_project(&access)?;
        if task.is_live() {
            return Err(TasksError::TaskNotDeleted.into());
        }
        if_match.check_or_require(task.version, access.strict_concurrency)?;
        // Below a deleted task nothing lives, and what was deleted before it could not be restored without it.
        let below: Vec<TaskId> = self.descendants(task_id).await?.iter().map(|task: &Task| task.id).collect();
        let mut unit = Unit::new(caller);
        store::trash::erase(&mut unit, task.workspace_id, task_id, task.version, &below);
        let all: Vec<TaskId> = std::iter::once(task_id).chain(below).collect();
        store::purge::delete_stranded_series(&mut unit, &all);
        unit.record(audit_entry(&task, Action::TaskPurged));
        self.db.apply(unit).await?;
        Ok(())
    }
}
