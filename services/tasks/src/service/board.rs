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
use crate::model::{Place, Task, position};
use crate::store;
use crate::store::tasks::BoardScope;
use crate::view::TaskView;

/// Most tasks of one position that a move spreads. Computed positions end in random digits, so hardly two ever meet.
const MOST_EQUALS: usize = 100;

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
        if after.is_some() && after == before {
            errors.push(FieldError::new("/before_id", "same_task", "is the same task as after_id"));
        }
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        let (lower, upper) = self.gap(&new, after, before).await?;
        let own = new.place();
        let mut changes = Vec::new();
        // Already between its neighbours: nothing to write.
        if !(lower.as_ref().is_none_or(|lower| *lower < own) && upper.as_ref().is_none_or(|upper| own < *upper)) {
            changes = self.make_room(caller, &mut new, lower, upper, &access.project_key).await?;
        }
        changes.push(Change::update(task, new, &access.project_key));
        self.apply_changes(caller, changes).await
    }

    /// The place of a neighbour: another live task of the project.
    async fn neighbour(
        &self,
        task: &Task,
        access: &ProjectAccess,
        id: Option<TaskId>,
        pointer: &str,
        errors: &mut Vec<FieldError>,
    ) -> Result<Option<Place>> {
        let Some(id) = id else { return Ok(None) };
        let found = store::tasks::find(&self.db, id).await?;
        let usable = found.filter(|other| other.id != task.id && other.project_id == access.project_id && other.is_live());
        if usable.is_none() {
            errors.push(FieldError::new(pointer, "unknown_task", "is no other task of the project"));
        }
        Ok(usable.map(|other| other.place()))
    }

    /// The two places the task shall lie between; `None` is the end of the column.
    async fn gap(&self, moving: &Task, after: Option<Place>, before: Option<Place>) -> Result<(Option<Place>, Option<Place>)> {
        let scope = BoardScope {
            project_id: moving.project_id,
            state_id: moving.state_id,
            moving: moving.id,
        };
        match (after, before) {
            (None, None) => Ok((store::tasks::next_place(&self.db, &scope, None, false).await?, None)),
            (Some(lower), None) => {
                let upper = store::tasks::next_place(&self.db, &scope, Some(&lower), true).await?;
                Ok((Some(lower), upper))
            }
            (None, Some(upper)) => {
                let lower = store::tasks::next_place(&self.db, &scope, Some(&upper), false).await?;
                Ok((lower, Some(upper)))
            }
            (Some(lower), Some(upper)) if lower > upper => Err(Error::invalid_field("/before_id", "wrong_order", "lies before after_id")),
            both => Ok(both),
        }
    }

    /// Gives the task its position. Where its neighbours share one, those behind the gap get positions of their own, in
    /// the order they have; what is returned are these changes.
    async fn make_room(
        &self,
        caller: &Caller,
        moving: &mut Task,
        lower: Option<Place>,
        upper: Option<Place>,
        project_key: &str,
    ) -> Result<Vec<Change>> {
        let between = |lower: Option<&str>, upper: Option<&str>| {
            position::between(lower, upper, caller.now, rand::random()).ok_or(TasksError::NoRoom)
        };
        let (Some(lower), Some(upper)) = (&lower, &upper) else {
            moving.position = between(lower.as_ref().map(Place::position), upper.as_ref().map(Place::position))?;
            return Ok(Vec::new());
        };
        if lower.position() != upper.position() {
            moving.position = between(Some(lower.position()), Some(upper.position()))?;
            return Ok(Vec::new());
        }
        let mut behind = store::tasks::list_at_position(&self.db, moving, lower, MOST_EQUALS + 1).await?;
        if behind.len() > MOST_EQUALS {
            return Err(TasksError::NoRoom.into());
        }
        store::people::attach(&self.db, &mut behind).await?;
        let end = store::tasks::next_position(&self.db, moving.project_id, lower.position()).await?;
        moving.position = between(Some(lower.position()), end.as_deref())?;
        let mut last = moving.position.clone();
        let mut changes = Vec::with_capacity(behind.len() + 1);
        for old in behind {
            let mut new = old.clone();
            new.position = between(Some(&last), end.as_deref())?;
            last.clone_from(&new.position);
            changes.push(Change::update(old, new, project_key));
        }
        Ok(changes)
    }
}
