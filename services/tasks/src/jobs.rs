//! Reminders, clean-up after other services' events, and the sweep that erases deleted tasks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::tasks::events::{TaskDueSoon, TaskOverdue};
use contracts::workspaces::{GetMembership, ListMembers};
use kernel::ids::{ProjectId, TaskId, UserId, WorkspaceId};
use kernel::{CallContext, Error, Result, Timestamp};
use platform::Caller;
use platform::db::{DbError, Guard, Unit};
use platform::due::{Due, DueHandler, DueItem, Sweep};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::TasksService;
use crate::model::recurrence::RecurrenceId;
use crate::service::{Change, Draft};
use crate::store;
use crate::store::tasks::Reminder;

const DUE_SOON: &str = "tasks.due_soon";
const OVERDUE: &str = "tasks.overdue";
const UNASSIGN: &str = "tasks.unassign_member";
const UNASSIGN_LOST: &str = "tasks.unassign_lost";
pub(crate) const PURGE: &str = "tasks.purge_workspace";
const RECUR: &str = "tasks.recur";

/// When to ask again what is impossible now.
pub(crate) const TOMORROW: Duration = Duration::from_secs(86_400);

/// Rows per unit of the clean-ups: short transactions, whatever the size of the workspace.
const CHUNK: u64 = 100;

#[derive(Debug, Serialize, Deserialize)]
struct ReminderPayload {
    task_id: TaskId,
    due_at: Timestamp,
}

fn key(task_id: TaskId, what: &str) -> String {
    format!("task:{task_id}:{what}")
}

/// Replaces what was scheduled for the task before. A moment that is already past when it is written is announced as
/// overdue at once, one that lies within the "soon" span as due soon.
pub(crate) fn schedule_reminders(unit: &mut Unit, task_id: TaskId, due_at: Timestamp, now: Timestamp, soon: Duration) {
    let payload = json!(ReminderPayload { task_id, due_at });
    if due_at > now {
        unit.schedule(Due {
            kind: DUE_SOON,
            key: Some(key(task_id, "soon")),
            payload: payload.clone(),
            run_at: due_at.minus(soon).max(now),
        });
    } else {
        unit.unschedule(DUE_SOON, &key(task_id, "soon"));
    }
    unit.schedule(Due {
        kind: OVERDUE,
        key: Some(key(task_id, "overdue")),
        payload,
        run_at: due_at.max(now),
    });
}

pub(crate) fn unschedule_reminders(unit: &mut Unit, task_id: TaskId) {
    unit.unschedule(DUE_SOON, &key(task_id, "soon"));
    unit.unschedule(OVERDUE, &key(task_id, "overdue"));
}

/// Replaces what was scheduled for the series before.
pub(crate) fn schedule_recur(unit: &mut Unit, series: RecurrenceId, at: Timestamp) {
    unit.schedule(Due {
        kind: RECUR,
        key: Some(series.to_string()),
        payload: json!({ "recurrence_id": series }),
        run_at: at,
    });
}

pub(crate) fn unschedule_recur(unit: &mut Unit, series: RecurrenceId) {
    unit.unschedule(RECUR, &series.to_string());
}

pub(crate) fn schedule_unassign(unit: &mut Unit, workspace_id: WorkspaceId, user_id: UserId, now: Timestamp) {
    unit.schedule(Due {
        kind: UNASSIGN,
        key: Some(format!("{workspace_id}:{user_id}")),
        payload: json!({ "workspace_id": workspace_id, "user_id": user_id }),
        run_at: now,
    });
}

/// For everybody who is assigned in the project and can no longer read it.
pub(crate) fn schedule_unassign_lost(unit: &mut Unit, workspace_id: WorkspaceId, project_id: ProjectId, now: Timestamp) {
    unit.schedule(Due {
        kind: UNASSIGN_LOST,
        key: Some(project_id.to_string()),
        payload: json!({ "workspace_id": workspace_id, "project_id": project_id }),
        run_at: now,
    });
}

/// Erases a whole workspace, or one project of it.
pub(crate) fn schedule_purge(unit: &mut Unit, workspace_id: WorkspaceId, project_id: Option<ProjectId>, now: Timestamp) {
    unit.schedule(Due {
        kind: PURGE,
        key: Some(project_id.map_or_else(|| workspace_id.to_string(), |project_id| project_id.to_string())),
        payload: json!({ "workspace_id": workspace_id, "project_id": project_id }),
        run_at: now,
    });
}

pub(crate) fn handlers(service: &Arc<TasksService>) -> Vec<Arc<dyn DueHandler>> {
    vec![
        Arc::new(Remind(service.clone(), Reminder::Soon)),
        Arc::new(Remind(service.clone(), Reminder::Overdue)),
        Arc::new(Unassign(service.clone())),
        Arc::new(UnassignLost(service.clone())),
        Arc::new(Purge(service.clone())),
        Arc::new(Recur(service.clone())),
    ]
}

fn read<T: DeserializeOwned>(item: &DueItem) -> Result<T> {
    serde_json::from_value(item.payload.clone()).map_err(Error::internal)
}

fn caller(service: &TasksService, item: &DueItem) -> Caller {
    Caller::system(&*service.toolkit.clock, item.request_id.as_str())
}

const ALREADY_REMINDED: Guard = Guard::conflict("tasks.reminder.obsolete", "The reminder was sent before or is no longer wanted.");

struct Remind(Arc<TasksService>, Reminder);

#[async_trait]
impl DueHandler for Remind {
    fn kind(&self) -> &'static str {
        match self.1 {
            Reminder::Soon => DUE_SOON,
            Reminder::Overdue => OVERDUE,
        }
    }

    /// Announces once per due moment: the guard in the same unit knows.
    async fn run(&self, item: &DueItem) -> Result<()> {
        let Self(service, reminder) = self;
        let ReminderPayload { task_id, due_at } = read(item)?;
        let found = store::people::find_whole(&service.db, task_id).await?;
        let Some(task) = found.filter(|task| task.reminder_at() == Some(due_at)) else {
            return Ok(());
        };
        let mut unit = Unit::new(&caller(service, item));
        store::tasks::mark_reminded(&mut unit, task_id, *reminder, due_at, ALREADY_REMINDED);
        let task = crate::service::task_ref(&task);
        match reminder {
            Reminder::Soon => unit.emit(&TaskDueSoon { task, due_at }),
            Reminder::Overdue => unit.emit(&TaskOverdue { task, due_at }),
        }
        match service.db.apply(unit).await {
            Ok(_) | Err(DbError::Guard(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Member {
    workspace_id: WorkspaceId,
    user_id: UserId,
}

/// Takes a person off the tasks they can no longer read: all of the workspace for whoever is no member any more, else those
/// of projects that are closed to them now.
struct Unassign(Arc<TasksService>);

#[async_trait]
impl DueHandler for Unassign {
    fn kind(&self) -> &'static str {
        UNASSIGN
    }

    async fn run(&self, item: &DueItem) -> Result<()> {
        let service = &self.0;
        let Member { workspace_id, user_id } = read(item)?;
        let context = CallContext::system(item.request_id.as_str(), service.toolkit.clock.now());
        let membership = service
            .workspaces
            .get_membership(&context, GetMembership { user_id, workspace_id })
            .await?;
        if membership.is_none() {
            return take_off(service, item, workspace_id, user_id, None).await;
        }
        let mut after = None;
        loop {
            let projects = store::people::list_projects_of(&service.db, workspace_id, user_id, after, CHUNK).await?;
            after = projects.last().copied();
            if after.is_none() {
                return Ok(());
            }
            for project_id in projects {
                if lost(service, item, workspace_id, project_id, &[user_id]).await?.contains(&user_id) {
                    take_off(service, item, workspace_id, user_id, Some(project_id)).await?;
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Project {
    workspace_id: WorkspaceId,
    project_id: ProjectId,
}

/// The same for everybody in one project.
struct UnassignLost(Arc<TasksService>);

#[async_trait]
impl DueHandler for UnassignLost {
    fn kind(&self) -> &'static str {
        UNASSIGN_LOST
    }

    async fn run(&self, item: &DueItem) -> Result<()> {
        let service = &self.0;
        let Project { workspace_id, project_id } = read(item)?;
        let mut after = None;
        loop {
            let people = store::people::list_assignees_in(&service.db, project_id, after, CHUNK).await?;
            after = people.last().copied();
            if after.is_none() {
                return Ok(());
            }
            for user_id in lost(service, item, workspace_id, project_id, &people).await? {
                take_off(service, item, workspace_id, user_id, Some(project_id)).await?;
            }
        }
    }
}

/// Those of `people` who cannot read the project. Nobody, where nobody can: a workspace always has an owner who reads
/// everything, so then the project is deleted, and who is assigned must be found again when it is restored.
async fn lost(
    service: &TasksService,
    item: &DueItem,
    workspace_id: WorkspaceId,
    project_id: ProjectId,
    people: &[UserId],
) -> Result<Vec<UserId>> {
    let context = CallContext::system(item.request_id.as_str(), service.toolkit.clock.now());
    let request = ListMembers {
        workspace_id,
        project_id: Some(project_id),
    };
    let members = service.workspaces.list_members(&context, request).await?;
    let readers: HashSet<UserId> = members.into_iter().map(|member| member.user_id).collect();
    if readers.is_empty() {
        return Ok(Vec::new());
    }
    Ok(people.iter().copied().filter(|person| !readers.contains(person)).collect())
}

async fn take_off(
    service: &TasksService,
    item: &DueItem,
    workspace_id: WorkspaceId,
    user_id: UserId,
    project_id: Option<ProjectId>,
) -> Result<()> {
    loop {
        let ids = store::people::list_assigned(&service.db, workspace_id, user_id, project_id, CHUNK).await?;
        if ids.is_empty() {
            return Ok(());
        }
        let mut tasks = store::tasks::list_by_ids(&service.db, &ids).await?;
        store::people::attach(&service.db, &mut tasks).await?;
        for old in tasks {
            let mut new = old.clone();
            new.assignee_ids.retain(|assignee| *assignee != user_id);
            // One unit per task: somebody editing one of them makes this one wait for the retry, not all.
            let mut draft = Draft::new(service, &caller(service, item));
            draft.write(Change::update(old, new, ""));
            service.db.apply(draft.unit).await?;
        }
    }
}

#[derive(Debug, Deserialize)]
struct Doomed {
    workspace_id: WorkspaceId,
    project_id: Option<ProjectId>,
}

struct Purge(Arc<TasksService>);

#[async_trait]
impl DueHandler for Purge {
    fn kind(&self) -> &'static str {
        PURGE
    }

    async fn run(&self, item: &DueItem) -> Result<()> {
        let service = &self.0;
        let Doomed { workspace_id, project_id } = read(item)?;
        loop {
            let ids = store::purge::list_in(&service.db, workspace_id, project_id, CHUNK).await?;
            let mut unit = Unit::new(&caller(service, item));
            if ids.is_empty() {
                match project_id {
                    Some(project_id) => store::purge::delete_project(&mut unit, workspace_id, project_id),
                    None => store::purge::delete_settings(&mut unit, workspace_id),
                }
                service.db.apply(unit).await?;
                return Ok(());
            }
            for id in &ids {
                unschedule_reminders(&mut unit, *id);
            }
            store::purge::delete_tasks(&mut unit, workspace_id, &ids);
            service.db.apply(unit).await?;
        }
    }
}

#[derive(Debug, Deserialize)]
struct Series {
    recurrence_id: RecurrenceId,
}

/// Makes the next task of a series.
struct Recur(Arc<TasksService>);

#[async_trait]
impl DueHandler for Recur {
    fn kind(&self) -> &'static str {
        RECUR
    }

    async fn run(&self, item: &DueItem) -> Result<()> {
        let Series { recurrence_id } = read(item)?;
        self.0.recur(&caller(&self.0, item), recurrence_id).await
    }
}

/// Erases tasks whose time to be restored is over.
pub(crate) struct PurgeDeleted(pub Arc<TasksService>);

#[async_trait]
impl Sweep for PurgeDeleted {
    fn name(&self) -> &'static str {
        "tasks.purge_deleted"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(self.0.config.purge_interval_seconds)
    }

    async fn run(&self) -> Result<()> {
        let service = &self.0;
        let clock = &*service.toolkit.clock;
        let deadline = clock.now().minus(service.config.restore_time());
        loop {
            let ids = store::purge::list_expired(&service.db, deadline, CHUNK).await?;
            if ids.is_empty() {
                return Ok(());
            }
            let mut unit = Unit::new(&Caller::system(clock, "tasks-purge"));
            store::purge::delete_expired(&mut unit, &ids, deadline);
            store::purge::delete_stranded_series(&mut unit, &ids);
            service.db.apply(unit).await?;
        }
    }
}

/// Folds rows anew that an older version of the program folded. Nearly always there is nothing to do: one short read.
pub(crate) struct Refold(pub Arc<TasksService>);

#[async_trait]
impl Sweep for Refold {
    fn name(&self) -> &'static str {
        "tasks.refold"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self) -> Result<()> {
        self.0.refold().await
    }
}
