//! Use cases on one task.

use kernel::Result;
use kernel::ids::{ProjectId, TaskId, UserId, WorkspaceId};
use kernel::roles::Permission;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Field, IfMatch};

use super::decide::Decider;
use super::{Change, Draft, TasksService, writable_project, writable_task};
use crate::command::{CreateTask, UpdateTask};
use crate::error::TasksError;
use crate::model::{Task, parse_human_key};
use crate::store;
use crate::view::TaskView;

impl TasksService {
    pub(crate) async fn create_task(&self, caller: &Caller, project_id: ProjectId, command: CreateTask) -> Result<Reply<TaskView>> {
        let access = self.project(caller, project_id, Permission::TaskWrite).await?;
        writable_project(&access)?;
        let change = Decider::new(self, caller).create(&access, command).await?;
        let mut draft = Draft::new(self, caller);
        let written = draft.write(change);
        let rendering = draft.render(vec![written]);
        let reply = self.db.apply_reply(draft.unit, move |output| {
            let view = rendering.view(output)?;
            let location = format!("/v1/tasks/{}", view.id);
            Ok(Reply::created(view, 1, location))
        });
        Ok(reply.await?)
    }

    pub(crate) async fn get_task(&self, caller: &Caller, task_id: TaskId) -> Result<TaskView> {
        let (task, access) = self.task(caller, task_id, Permission::TaskRead).await?;
        Ok(TaskView::new(task, &access.project_key))
    }

    /// By human key, among the projects of a workspace that the caller can read.
    pub(crate) async fn get_task_by_key(&self, caller: &Caller, workspace_id: WorkspaceId, key: &str) -> Result<TaskView> {
        self.membership(caller, workspace_id, Permission::WorkspaceRead).await?;
        let (project_key, number) = parse_human_key(key).ok_or(TasksError::TaskNotFound)?;
        let projects = self.readable_projects(caller, Some(workspace_id)).await?;
        let access = projects
            .into_iter()
            .find(|access| access.project_key == project_key)
            .ok_or(TasksError::TaskNotFound)?;
        let mut tasks: Vec<Task> = store::tasks::find_by_number(&self.db, access.project_id, number)
            .await?
            .into_iter()
            .filter(Task::is_live)
            .collect();
        store::people::attach(&self.db, &mut tasks).await?;
        let task = tasks.pop().ok_or(TasksError::TaskNotFound)?;
        Ok(TaskView::new(task, &access.project_key))
    }

    pub(crate) async fn update_task(
        &self,
        caller: &Caller,
        task_id: TaskId,
        if_match: &IfMatch,
        command: UpdateTask,
    ) -> Result<Reply<TaskView>> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_task(&task, &access, if_match)?;
        let change = Decider::new(self, caller).update(task, &access, command).await?;
        self.apply_change(caller, change).await
    }

    /// Idempotent: completing a done task changes nothing.
    pub(crate) async fn complete_task(&self, caller: &Caller, task_id: TaskId, if_match: &IfMatch, done: bool) -> Result<Reply<TaskView>> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_task(&task, &access, if_match)?;
        let change = Decider::new(self, caller).complete(task, &access.project_key, done).await?;
        self.apply_change(caller, change).await
    }

    /// Idempotent. Archived tasks can be read but not changed; they leave the lists unless asked for.
    pub(crate) async fn archive_task(
        &self,
        caller: &Caller,
        task_id: TaskId,
        if_match: &IfMatch,
        archived: bool,
    ) -> Result<Reply<TaskView>> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_project(&access)?;
        if_match.check_or_require(task.version, access.strict_concurrency)?;
        let change = archive(caller, task, &access.project_key, archived);
        self.apply_change(caller, change).await
    }

    /// Assigns one more person; idempotent.
    pub(crate) async fn assign(&self, caller: &Caller, task_id: TaskId, user_id: UserId, if_match: &IfMatch) -> Result<Reply<TaskView>> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_task(&task, &access, if_match)?;
        let mut decider = Decider::new(self, caller);
        if !decider.is_reader(&access, user_id).await? {
            return Err(TasksError::AssigneeNotFound.into());
        }
        let mut assignees = vec![user_id];
        for present in &task.assignee_ids {
            // Who lost the access a moment ago is on the way out, and must not stand in the way of somebody else.
            if decider.is_reader(&access, *present).await? {
                assignees.push(*present);
            }
        }
        let command = UpdateTask {
            assignee_ids: Field::Value(assignees),
            ..UpdateTask::default()
        };
        let change = decider.update(task, &access, command).await?;
        self.apply_change(caller, change).await
    }

    /// Idempotent: whoever is not assigned stays so.
    pub(crate) async fn unassign(&self, caller: &Caller, task_id: TaskId, user_id: UserId, if_match: &IfMatch) -> Result<Reply<TaskView>> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_task(&task, &access, if_match)?;
        let mut new = task.clone();
        new.assignee_ids.retain(|assignee| *assignee != user_id);
        self.apply_change(caller, Change::update(task, new, &access.project_key)).await
    }

    pub(crate) async fn apply_change(&self, caller: &Caller, change: Change) -> Result<Reply<TaskView>> {
        self.apply_changes(caller, vec![change]).await
    }

    /// All in one unit; answers with the last.
    pub(super) async fn apply_changes(&self, caller: &Caller, changes: Vec<Change>) -> Result<Reply<TaskView>> {
        let mut draft = Draft::new(self, caller);
        let mut written = None;
        for change in changes {
            written = Some(draft.write(change));
        }
        let rendering = draft.render(written.into_iter().collect());
        let reply = self.db.apply_reply(draft.unit, move |output| {
            let view = rendering.view(output)?;
            let version = view.version;
            Ok(Reply::ok(view, version))
        });
        Ok(reply.await?)
    }
}

impl Decider<'_> {
    pub async fn complete(&mut self, old: Task, project_key: &str, done: bool) -> Result<Change> {
        let mut new = old.clone();
        let is_done = old.status == crate::model::Status::Done;
        if is_done != done {
            let state = if done {
                self.done_state(old.workspace_id).await?
            } else {
                self.default_state(old.workspace_id).await?
            };
            new.enter(&state, self.caller.now);
        }
        Ok(Change::update(old, new, project_key))
    }
}

pub(super) fn archive(caller: &Caller, old: Task, project_key: &str, archived: bool) -> Change {
    let mut new = old.clone();
    if archived != old.archived_at.is_some() {
        new.archived_at = archived.then_some(caller.now);
    }
    Change::update(old, new, project_key)
}
