//! Tasks on their way out: page by page, so that a project of any size takes the memory of one page.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use contracts::audit::{Action, Entry, Log};
use contracts::identity::GetUsers;
use contracts::workspaces::ProjectAccess;
use kernel::ids::{ProjectId, TaskId, UserId};
use kernel::roles::Permission;
use kernel::scopes::Scope;
use kernel::{Error, Result};
use platform::Caller;
use platform::db::Unit;

use super::TasksService;
use super::list::Criteria;
use crate::model::table::{self, Delimiter};
use crate::model::{LabelId, StateId, Task, human_key};
use crate::query::ExportFormat;
use crate::store;
use crate::store::list::{Filter, Place};
use crate::view::ExportedTask;

const PAGE: u64 = 200;

/// An export that is being read. The first page is read before the answer begins, so that what is wrong is a problem document
/// and not half a file.
pub(crate) struct TaskExport {
    service: Arc<TasksService>,
    caller: Caller,
    criteria: Criteria,
    format: ExportFormat,
    project_id: ProjectId,
    project_key: String,
    filter: Filter,
    states: HashMap<StateId, String>,
    people: HashMap<UserId, String>,
    next: Next,
}

enum Next {
    First(Vec<Task>),
    After(Place),
    End,
}

impl TasksService {
    /// That it was exported is recorded before the first line goes out.
    pub(crate) async fn export_tasks(
        self: Arc<Self>,
        caller: &Caller,
        project_id: ProjectId,
        criteria: Criteria,
        format: ExportFormat,
    ) -> Result<TaskExport> {
        let access = self.project(caller, project_id, Permission::TaskRead).await?;
        let project_key = access.project_key.clone();
        let states = self.ensure_states(access.workspace_id).await?;
        let people = self.addresses(caller, &access).await?.unwrap_or_default();
        let entry = Entry::new(Log::Workspace(access.workspace_id), Action::TasksExported, "project");
        let entry = entry.id(project_id).name(access.project_name.as_str());
        let filter = self.planned_filter(&criteria, &[access], caller.user_id()?).await?;
        let first = store::list::list(&self.db, &filter, &criteria.sorts, None, PAGE).await?;
        let mut unit = Unit::new(caller);
        unit.record(entry.with("format", format.ending()));
        self.db.apply(unit).await?;
        Ok(TaskExport {
            service: self,
            caller: caller.clone(),
            criteria,
            format,
            project_id,
            project_key,
            filter,
            states: states.into_iter().map(|state| (state.id, state.name)).collect(),
            people,
            next: Next::First(first),
        })
    }

    /// The e-mail addresses of all who can read a project. `None` for a key without the scope for members: neither an address nor whose
    /// it is comes out by another way than the list of members.
    pub(super) async fn addresses(&self, caller: &Caller, access: &ProjectAccess) -> Result<Option<HashMap<UserId, String>>> {
        if !caller.holds(Scope::MembersRead) {
            return Ok(None);
        }
        let readers = self.readers(caller, access).await?;
        let mut people = HashMap::new();
        // The contract takes 500 at a time.
        for chunk in readers.chunks(500) {
            let request = GetUsers { ids: chunk.to_vec() };
            let users = self.identity.get_users(&caller.call(), request).await?;
            let known = users.into_iter().filter(|user| !user.email.is_empty());
            people.extend(known.map(|user| (user.id, user.email)));
        }
        Ok(Some(people))
    }
}

impl TaskExport {
    pub fn format(&self) -> ExportFormat {
        self.format
    }

    /// Such as `ABC-tasks-2026-11-21`; project keys are plain letters and digits.
    pub fn file_name(&self) -> String {
        let day = self.caller.now.to_string();
        let (key, day) = (&self.project_key, day.get(..10).unwrap_or_default());
        format!("{key}-tasks-{day}.{}", self.format.ending())
    }

    /// The next part of the file; `None`: it is whole. Whoever loses the access meanwhile gets no further page.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let tasks = match std::mem::replace(&mut self.next, Next::End) {
            Next::First(tasks) => {
                self.open(&mut out)?;
                self.items(&mut out, &tasks, true).await?;
                tasks
            }
            Next::After(place) => {
                let tasks = self.page(&place).await?;
                self.items(&mut out, &tasks, false).await?;
                tasks
            }
            Next::End => return Ok(None),
        };
        match tasks.last() {
            Some(last) if tasks.len() as u64 >= PAGE => self.next = Next::After(Place::of(last, &self.criteria.sorts)),
            _ if self.format == ExportFormat::Json => out.extend_from_slice(b"]}\n"),
            _ => {}
        }
        Ok(Some(out))
    }

    async fn page(&mut self, place: &Place) -> Result<Vec<Task>> {
        // A long export outlives the moment it was asked for, and with it the time that calls may take.
        self.caller.now = self.service.toolkit.clock.now();
        self.service.project(&self.caller, self.project_id, Permission::TaskRead).await?;
        let db = &self.service.db;
        Ok(store::list::list(db, &self.filter, &self.criteria.sorts, Some(place), PAGE).await?)
    }

    fn open(&self, out: &mut Vec<u8>) -> Result<()> {
        match self.format {
            ExportFormat::Csv => table::write(out, Delimiter::Comma, [ExportedTask::COLUMNS.map(Into::into).to_vec()]),
            ExportFormat::Json => {
                let key = serde_json::to_string(&self.project_key).map_err(Error::internal)?;
                let head = format!(
                    r#"{{"format":"guildhall.tasks","version":1,"project_key":{key},"exported_at":"{}","items":["#,
                    self.caller.now
                );
                out.extend_from_slice(head.as_bytes());
            }
        }
        Ok(())
    }

    async fn items(&self, out: &mut Vec<u8>, tasks: &[Task], first: bool) -> Result<()> {
        let exported = self.exported(tasks).await?;
        match self.format {
            ExportFormat::Csv => table::write(out, Delimiter::Comma, exported.iter().map(ExportedTask::cells)),
            ExportFormat::Json => {
                for (index, task) in exported.iter().enumerate() {
                    if !first || index > 0 {
                        out.push(b',');
                    }
                    serde_json::to_writer(&mut *out, task).map_err(Error::internal)?;
                }
            }
        }
        Ok(())
    }

    /// Two statements for a page: its labels and the tasks above.
    async fn exported(&self, tasks: &[Task]) -> Result<Vec<ExportedTask>> {
        let db = &self.service.db;
        let labels: BTreeSet<LabelId> = tasks.iter().flat_map(|task| task.label_ids.iter().copied()).collect();
        let labels: Vec<LabelId> = labels.into_iter().collect();
        let labels = store::labels::list_by_ids(db, &labels).await?;
        let labels: HashMap<LabelId, String> = labels.into_iter().map(|label| (label.id, label.name)).collect();
        let parents: BTreeSet<TaskId> = tasks.iter().filter_map(|task| task.parent_id).collect();
        let parents: Vec<TaskId> = parents.into_iter().collect();
        let parents = store::tasks::list_branches(db, self.project_id, &parents).await?;
        let parents: HashMap<TaskId, i64> = parents.into_iter().map(|task| (task.id, task.number)).collect();
        let exported = |task: &Task| {
            let due_date = task.due.and_then(|due| due.date).map(|date| date.to_string());
            ExportedTask {
                key: human_key(&self.project_key, task.number),
                title: task.title.clone(),
                description: task.description.clone(),
                state: self.states.get(&task.state_id).cloned().unwrap_or_default(),
                status: task.status,
                priority: task.priority,
                due_at: task.due.filter(|_| due_date.is_none()).map(|due| due.at),
                due_date,
                assignees: task.assignee_ids.iter().filter_map(|user| self.people.get(user).cloned()).collect(),
                labels: task.label_ids.iter().filter_map(|label| labels.get(label).cloned()).collect(),
                parent: task
                    .parent_id
                    .and_then(|parent| Some(human_key(&self.project_key, *parents.get(&parent)?))),
                creator: task.creator_id.and_then(|user| self.people.get(&user).cloned()),
                created_at: task.created_at,
                updated_at: task.updated_at,
                completed_at: task.completed_at,
                archived_at: task.archived_at,
            }
        };
        Ok(tasks.iter().map(exported).collect())
    }
}
