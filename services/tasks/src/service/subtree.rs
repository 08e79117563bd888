//! A task and everything below it: deleted and restored together.

use kernel::Result;
use kernel::ids::TaskId;
use kernel::roles::Permission;
use platform::Caller;
use platform::db::Reply;
use platform::http::IfMatch;

use super::{Change, Draft, TasksService, writable_project};
use crate::error::TasksError;
use crate::model::{MAX_DEPTH, MAX_SUBTREE, Task};
use crate::store;
use crate::view::TaskView;

impl TasksService {
    /// Soft: it and its sub-tasks can be restored for 30 days.
    pub(crate) async fn delete_task(&self, caller: &Caller, task_id: TaskId, if_match: &IfMatch) -> Result<()> {
        let (task, access) = self.task(caller, task_id, Permission::TaskDelete).await?;
        writable_project(&access)?;
        if_match.check_or_require(task.version, access.strict_concurrency)?;
        let mut draft = Draft::new(self, caller);
        for change in self.decide_delete(caller, task, &access.project_key).await? {
            draft.write(change);
        }
        self.db.apply(draft.unit).await?;
        Ok(())
    }

    /// The task first, then what lies below it, level by level.
    pub(super) async fn decide_delete(&self, caller: &Caller, task: Task, project_key: &str) -> Result<Vec<Change>> {
        let root = task.id;
        let below = self.descendants(root).await?;
        let all = std::iter::once(task).chain(below.into_iter().filter(Task::is_live));
        let delete = |old: Task| {
            let mut new = old.clone();
            new.deleted_at = Some(caller.now);
            new.deleted_with = Some(root);
            Change::update(old, new, project_key)
        };
        Ok(all.map(delete).collect())
    }

    /// Brings a task back with the sub-tasks that were deleted with it. 409 while its parent is deleted, 410 once its time is over,
    /// erased by the sweep already or not.
    pub(crate) async fn restore_task(&self, caller: &Caller, task_id: TaskId, if_match: &IfMatch) -> Result<Reply<TaskView>> {
        let (task, access) = self.task_even_deleted(caller, task_id, Permission::TaskDelete).await?;
        writable_project(&access)?;
        if_match.check_or_require(task.version, access.strict_concurrency)?;
        let Some(deleted_at) = task.deleted_at else {
            let unchanged = Change::update(task.clone(), task, &access.project_key);
            return self.apply_change(caller, unchanged).await;
        };
        if caller.now >= deleted_at.plus(self.config.restore_time()) {
            return Err(TasksError::RestoreTimeOver.into());
        }
        if let Some(parent) = task.parent_id {
            let parent = store::tasks::find(&self.db, parent).await?;
            if !parent.is_some_and(|parent| parent.is_live()) {
                return Err(TasksError::ParentDeleted.into());
            }
        }
        let mut with_it = store::tasks::list_deleted_with(&self.db, task_id, MAX_SUBTREE + 2).await?;
        if with_it.len() > MAX_SUBTREE + 1 {
            return Err(TasksError::SubtreeTooLarge.into());
        }
        with_it.retain(|other| other.id != task_id);
        store::people::attach(&self.db, &mut with_it).await?;
        let mut draft = Draft::new(self, caller);
        let mut written = Vec::new();
        for old in top_down(task, with_it) {
            let mut new = old.clone();
            new.deleted_at = None;
            new.deleted_with = None;
            written.push(draft.write(Change::update(old, new, &access.project_key)));
        }
        written.truncate(1);
        let rendering = draft.render(written);
        let reply = self.db.apply_reply(draft.unit, move |output| {
            let view = rendering.view(output)?;
            let version = view.version;
            Ok(Reply::ok(view, version))
        });
        Ok(reply.await?)
    }

    /// All levels below a task, deleted tasks included, in level order.
    pub(super) async fn descendants(&self, root: TaskId) -> Result<Vec<Task>> {
        let mut all: Vec<Task> = Vec::new();
        let mut level = vec![root];
        for _ in 0..MAX_DEPTH {
            let children = store::tasks::list_children(&self.db, &level, MAX_SUBTREE + 1).await?;
            level = children.iter().map(|task| task.id).collect();
            all.extend(children);
            if all.len() > MAX_SUBTREE {
                return Err(TasksError::SubtreeTooLarge.into());
            }
            if level.is_empty() {
                break;
            }
        }
        store::people::attach(&self.db, &mut all).await?;
        Ok(all)
    }

    /// How many levels a task and what lies below it take up; a task alone takes one.
    pub(super) async fn levels(&self, root: TaskId) -> Result<usize> {
        let mut levels = 1;
        let mut level = vec![root];
        while levels <= MAX_DEPTH {
            level = store::tasks::list_children(&self.db, &level, MAX_SUBTREE)
                .await?
                .into_iter()
                .filter(Task::is_live)
                .map(|task| task.id)
                .collect();
            if level.is_empty() {
                break;
            }
            levels += 1;
        }
        Ok(levels)
    }
}

/// Parents before their sub-tasks, so that each finds its parent alive.
fn top_down(root: Task, mut rest: Vec<Task>) -> Vec<Task> {
    let mut ordered = vec![root];
    let mut next = 0;
    while let Some(parent) = ordered.get(next).map(|task| task.id) {
        let (children, others): (Vec<Task>, Vec<Task>) = rest.into_iter().partition(|task| task.parent_id == Some(parent));
        ordered.extend(children);
        rest = others;
        next += 1;
    }
    ordered
}
