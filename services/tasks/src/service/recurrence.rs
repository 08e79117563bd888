//! Tasks that come again.

use contracts::workspaces::{ListMembers, ProjectAccess};
use kernel::ids::{EntityId, TaskId, UserId};
use kernel::roles::Permission;
use kernel::{CallContext, Error, Result};
use platform::Caller;
use platform::db::{DbError, Guard, Reply};
use platform::http::IfMatch;
use serde_json::json;

use super::{Change, Draft, TasksService, writable_task};
use crate::command::SetRecurrence;
use crate::error::TasksError;
use crate::jobs;
use crate::model::recurrence::{Recurrence, RecurrenceId, Trigger};
use crate::model::rrule::Rule;
use crate::model::{Task, default_state, position};
use crate::store;
use crate::view::{RecurrenceView, TaskView};

/// Somebody else took the series on: another replica, or the same event delivered twice.
const SERIES_MOVED: Guard = Guard::conflict(
    "tasks.recurrence.changed_meanwhile",
    "The recurrence changed meanwhile; read it again.",
);

impl TasksService {
    /// Also of an older task of the series.
    pub(crate) async fn get_recurrence(&self, caller: &Caller, task_id: TaskId) -> Result<RecurrenceView> {
        let (task, _) = self.task(caller, task_id, Permission::TaskRead).await?;
        let series = self.series_of(&task).await?.ok_or(TasksError::RecurrenceNotFound)?;
        Ok(view(series, &task))
    }

    /// Starts a series with this task as its first occurrence, or gives its series a new rule from here on.
    pub(crate) async fn set_recurrence(
        &self,
        caller: &Caller,
        task_id: TaskId,
        if_match: &IfMatch,
        command: SetRecurrence,
    ) -> Result<Reply<RecurrenceView>> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_task(&task, &access, if_match)?;
        let time_zone = checked(&command, &access)?;
        let due = task.due.ok_or(TasksError::RecurrenceNeedsDue)?;
        // Once a series that has gone on to another task is over, this one may begin a series of its own.
        let standing = |series: &Recurrence| series.task_id == task_id || series.ended_at.is_none();
        let present = self.series_of(&task).await?.filter(standing);
        if present.as_ref().is_some_and(|series| series.task_id != task_id) {
            return Err(TasksError::RecurrenceNotCurrent.into());
        }
        let (first, time) = Recurrence::occurrence(due, &time_zone);
        let series = Recurrence {
            id: present
                .as_ref()
                .map_or_else(|| RecurrenceId::generate(&*self.toolkit.clock), |series| series.id),
            workspace_id: task.workspace_id,
            project_id: task.project_id,
            task_id,
            rule: command.rule.trim().to_owned(),
            trigger: command.trigger.unwrap_or(Trigger::Completion),
            time_zone,
            first,
            time,
            current: first,
            creator_id: caller.actor.user_id(),
            ended_at: None,
            version: present.as_ref().map_or(1, |series| series.version + 1),
            created_at: present.as_ref().map_or(caller.now, |series| series.created_at),
            updated_at: caller.now,
        };
        if series.is_barren() {
            let never = kernel::FieldError::new("/rule", "no_date", "gives no date from the one on which the task is due");
            return Err(Error::invalid(vec![never]));
        }
        let mut draft = Draft::new(self, caller);
        let before = present.as_ref().map(|series| json!(series.rule)).unwrap_or_default();
        match &present {
            Some(old) => store::recurrences::update(&mut draft.unit, &series, old.version, SERIES_MOVED),
            None => store::recurrences::insert(&mut draft.unit, &series),
        }
        let mut new = task.clone();
        new.recurrence_id = Some(series.id);
        let (task, _) = draft.write(Change::update(task, new, &access.project_key));
        draft.record(&task, "updated", Some("recurrence"), before, json!(series.rule));
        schedule(&mut draft, &series, &task, caller);
        let shown = view(series, &task);
        Ok(self.db.apply_reply(draft.unit, move |_| Ok(Reply::plain(shown))).await?)
    }

    /// No further tasks; those that there are stay. Idempotent.
    pub(crate) async fn end_recurrence(&self, caller: &Caller, task_id: TaskId, if_match: &IfMatch) -> Result<()> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_task(&task, &access, if_match)?;
        let Some(series) = self.series_of(&task).await?.filter(|series| series.ended_at.is_none()) else {
            return Ok(());
        };
        let mut draft = Draft::new(self, caller);
        end(&mut draft, &series, caller);
        draft.record(&task, "updated", Some("recurrence"), json!(series.rule), serde_json::Value::Null);
        self.db.apply(draft.unit).await?;
        Ok(())
    }

    /// Leaves an occurrence out: the present task becomes due at the next one.
    pub(crate) async fn skip_occurrence(&self, caller: &Caller, task_id: TaskId, if_match: &IfMatch) -> Result<Reply<TaskView>> {
        let (task, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        writable_task(&task, &access, if_match)?;
        let series = self.series_of(&task).await?.ok_or(TasksError::RecurrenceNotFound)?;
        if series.task_id != task_id {
            return Err(TasksError::RecurrenceNotCurrent.into());
        }
        let next = series.next(None).filter(|_| series.ended_at.is_none());
        let (date, due) = next.ok_or(TasksError::RecurrenceOver)?;
        // It was done on its own date.
        if task.status.is_closed() {
            return Err(TasksError::RecurrenceDone.into());
        }
        let mut draft = Draft::new(self, caller);
        let moved = Recurrence {
            current: date,
            version: series.version + 1,
            updated_at: caller.now,
            ..series.clone()
        };
        store::recurrences::update(&mut draft.unit, &moved, series.version, SERIES_MOVED);
        schedule(&mut draft, &moved, &task, caller);
        let mut new = task.clone();
        new.due = Some(due);
        let written = draft.write(Change::update(task, new, &access.project_key));
        let rendering = draft.render(vec![written]);
        let reply = self.db.apply_reply(draft.unit, move |output| {
            let view = rendering.view(output)?;
            let version = view.version;
            Ok(Reply::ok(view, version))
        });
        Ok(reply.await?)
    }

    async fn series_of(&self, task: &Task) -> Result<Option<Recurrence>> {
        match task.recurrence_id {
            Some(id) => Ok(store::recurrences::find(&self.db, id).await?),
            None => Ok(None),
        }
    }

    /// Makes the next task of a series if it is time. Called by due work, which can come twice and on two replicas at once:
    /// the series' version lets one of them through.
    pub(crate) async fn recur(&self, caller: &Caller, id: RecurrenceId) -> Result<()> {
        let Some(series) = store::recurrences::find(&self.db, id).await? else {
            return Ok(());
        };
        let Some(task) = store::people::find_whole(&self.db, series.task_id).await? else {
            return Ok(());
        };
        // A deleted or archived task stops its series; restoring it asks again.
        if series.ended_at.is_some() || !task.is_live() || task.archived_at.is_some() {
            return Ok(());
        }
        let mut draft = Draft::new(self, caller);
        let due_at = series.due_on(series.current).at;
        match series.trigger {
            Trigger::Completion if !task.status.is_closed() => return Ok(()),
            Trigger::Schedule if due_at > caller.now => schedule(&mut draft, &series, &task, caller),
            Trigger::Completion | Trigger::Schedule => match series.next(Some(caller.now)) {
                None => end(&mut draft, &series, caller),
                Some(next) => match self.standing(&series).await? {
                    // Nobody can see the project, or nothing may be made in it now: perhaps tomorrow.
                    None => jobs::schedule_recur(&mut draft.unit, series.id, caller.now.plus(jobs::TOMORROW)),
                    Some((access, readers)) => self.advance(&mut draft, caller, &series, task, next, &access, &readers).await?,
                },
            },
        }
        match self.db.apply(draft.unit).await {
            Ok(_) => Ok(()),
            Err(DbError::Guard(guard)) if guard.code == SERIES_MOVED.code => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `recur`, with all that it has found out")]
    async fn advance(
        &self,
        draft: &mut Draft,
        caller: &Caller,
        series: &Recurrence,
        task: Task,
        (date, due): (jiff::civil::Date, crate::model::Due),
        access: &ProjectAccess,
        readers: &[UserId],
    ) -> Result<()> {
        let states = self.ensure_states(task.workspace_id).await?;
        let state = default_state(&states).ok_or_else(|| Error::internal("workspace without an open state"))?;
        let parent_id = match task.parent_id {
            None => None,
            Some(parent) => store::tasks::find(&self.db, parent)
                .await?
                .filter(|parent| parent.is_live() && parent.archived_at.is_none())
                .map(|parent| parent.id),
        };
        let id = TaskId::generate(&*self.toolkit.clock);
        let moved = Recurrence {
            task_id: id,
            current: date,
            version: series.version + 1,
            updated_at: caller.now,
            ..series.clone()
        };
        let mut next = Task {
            id,
            number: 0,
            due: Some(due),
            parent_id,
            position: position::at_end(caller.now, u16::from(id.uuid().into_bytes()[15])),
            comment_count: 0,
            subtask_count: 0,
            subtask_done_count: 0,
            version: 1,
            created_at: caller.now,
            updated_at: caller.now,
            completed_at: None,
            archived_at: None,
            deleted_at: None,
            deleted_with: None,
            ..task
        };
        next.assignee_ids.retain(|user| readers.contains(user));
        next.enter(state, caller.now);
        // First, because it locks the series and stops whoever comes second.
        store::recurrences::update(&mut draft.unit, &moved, series.version, SERIES_MOVED);
        schedule(draft, &moved, &next, caller);
        draft.write(Change {
            old: None,
            new: next,
            project_key: access.project_key.clone(),
            mentioned: Vec::new(),
            ancestors: Vec::new(),
        });
        Ok(())
    }

    /// The project as somebody who can read it sees it, and everybody who can. `None`: nobody can, or it is archived.
    async fn standing(&self, series: &Recurrence) -> Result<Option<(ProjectAccess, Vec<UserId>)>> {
        let context = CallContext::system("tasks-recurrence", self.toolkit.clock.now());
        let request = ListMembers {
            workspace_id: series.workspace_id,
            project_id: Some(series.project_id),
        };
        let members = self.workspaces.list_members(&context, request).await?;
        let readers: Vec<UserId> = members.into_iter().map(|member| member.user_id).collect();
        let Some(reader) = readers.first() else { return Ok(None) };
        let request = contracts::workspaces::GetProjectAccess {
            user_id: *reader,
            project_id: series.project_id,
        };
        let access = self.workspaces.get_project_access(&context, request).await?;
        Ok(access.filter(|access| !access.archived).map(|access| (access, readers)))
    }
}

fn end(draft: &mut Draft, series: &Recurrence, caller: &Caller) {
    let ended = Recurrence {
        ended_at: Some(caller.now),
        version: series.version + 1,
        updated_at: caller.now,
        ..series.clone()
    };
    store::recurrences::update(&mut draft.unit, &ended, series.version, SERIES_MOVED);
    jobs::unschedule_recur(&mut draft.unit, series.id);
}

/// A series that goes by the calendar wakes up when its present occurrence is due; one that goes by completion is woken, and at once
/// where its task is done already.
fn schedule(draft: &mut Draft, series: &Recurrence, task: &Task, caller: &Caller) {
    match series.trigger {
        Trigger::Schedule => {
            let due_at = series.due_on(series.current).at;
            jobs::schedule_recur(&mut draft.unit, series.id, due_at.max(caller.now));
        }
        Trigger::Completion if task.status.is_closed() => jobs::schedule_recur(&mut draft.unit, series.id, caller.now),
        Trigger::Completion => jobs::unschedule_recur(&mut draft.unit, series.id),
    }
}

/// The zone, once rule and zone are found to be some.
fn checked(command: &SetRecurrence, access: &ProjectAccess) -> Result<String> {
    let mut errors = Vec::new();
    if let Err(detail) = Rule::parse(&command.rule) {
        errors.push(kernel::FieldError::new("/rule", "invalid_rule", detail));
    }
    let zone = command.time_zone.as_ref().unwrap_or(&access.time_zone);
    if command.time_zone.is_some() && !kernel::time::is_time_zone(zone) {
        errors.push(kernel::FieldError::new("/time_zone", "unknown_time_zone", "is no IANA time zone"));
    }
    if errors.is_empty() {
        Ok(zone.clone())
    } else {
        Err(Error::invalid(errors))
    }
}

fn view(series: Recurrence, task: &Task) -> RecurrenceView {
    let next = series.next(None).filter(|_| series.ended_at.is_none());
    RecurrenceView {
        id: series.id,
        task_id: series.task_id,
        is_current: series.task_id == task.id,
        rule: series.rule,
        trigger: series.trigger,
        time_zone: series.time_zone,
        next_due_date: next.and_then(|(_, due)| due.date).map(|date| date.to_string()),
        next_due_at: next.map(|(_, due)| due.at),
        ended_at: series.ended_at,
        created_at: series.created_at,
        updated_at: series.updated_at,
    }
}
