//! Moving a task on the board: into a column, between two neighbours.

use contracts::workspaces::ProjectAccess;
use kernel::ids::TaskId;
use kernel::roles::Permission;
use kernel::{Error, FieldError, Result};
use platform::Caller;
use platform::db::Reply;
use platform::http::IfMatch;

use super::decide::Decider;
use super::{Change, TasksService, writable_task};
use crate::command::MoveTask;
use crate::error::TasksError;
use crate::model::{Task, position};
use crate::store;
use crate::store::tasks::BoardScope;
use crate::view::TaskView;

impl TasksService {
    pub(crate) async fn move_task(
        &self,
        caller: &Caller,
        task_id: TaskId,
        if_match: &IfMatch,
        command: MoveTask,
    ) -> Result<Reply<TaskView>> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_task(&task, &access, if_match)?;
        let mut errors = Vec::new();
        let mut new = task.clone();
        if let Some(state_id) = command.state_id {
            let mut decider = Decider::new(self, caller);
            if let Some(state) = decider.state(access.workspace_id, state_id, &mut errors).await? {
                new.enter(&state, caller.now);
            }
        }
        let after = self.neighbour(&task, &access, command.after_id, "/after_id", &mut errors).await?;
        let before = self.neighbour(&task, &access, command.before_id, "/before_id", &mut errors).await?;
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        new.position = self.place(caller, &new, after, before).await?;
        self.apply_change(caller, Change::update(task, new, &access.project_key)).await
    }

    /// The position of a neighbour: another live task of the project.
    async fn neighbour(
        &self,
        task: &Task,
        access: &ProjectAccess,
        id: Option<TaskId>,
        pointer: &str,
        errors: &mut Vec<FieldError>,
    ) -> Result<Option<String>> {
        let Some(id) = id else { return Ok(None) };
        let found = store::tasks::find(&self.db, id).await?;
        let usable = found.filter(|other| other.id != task.id && other.project_id == access.project_id && other.is_live());
        if usable.is_none() {
            errors.push(FieldError::new(pointer, "unknown_task", "is no other task of the project"));
        }
        Ok(usable.map(|other| other.position))
    }

    async fn place(&self, caller: &Caller, moving: &Task, after: Option<String>, before: Option<String>) -> Result<String> {
        let scope = BoardScope {
            project_id: moving.project_id,
            state_id: moving.state_id,
            moving: moving.id,
        };
        let (lower, upper) = match (after, before) {
            (None, None) => (store::tasks::next_position(&self.db, &scope, None, false).await?, None),
            (Some(lower), None) => {
                let upper = store::tasks::next_position(&self.db, &scope, Some(&lower), true).await?;
                (Some(lower), upper)
            }
            (None, Some(upper)) => {
                let lower = store::tasks::next_position(&self.db, &scope, Some(&upper), false).await?;
                (lower, Some(upper))
            }
            // Two moves at the same time can give two tasks one position; then the gap behind both is the closest.
            (Some(lower), Some(upper)) if lower == upper => {
                let upper = store::tasks::next_position(&self.db, &scope, Some(&lower), true).await?;
                (Some(lower), upper)
            }
            (Some(lower), Some(upper)) if lower > upper => {
                return Err(Error::invalid_field("/before_id", "wrong_order", "lies before after_id"));
            }
            both => both,
        };
        let there = |bound: &Option<String>, less: bool| {
            bound
                .as_ref()
                .is_none_or(|bound| if less { bound < &moving.position } else { bound > &moving.position })
        };
        if there(&lower, true) && there(&upper, false) {
            // Already between its neighbours: nothing to write.
            return Ok(moving.position.clone());
        }
        position::between(lower.as_deref(), upper.as_deref(), caller.now).ok_or_else(|| TasksError::NoRoom.into())
    }
}
