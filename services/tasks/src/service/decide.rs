//! Decides what a new or changed task shall be: checks every field and every id in the body, collects all field
//! errors, and touches nothing. One `Decider` serves one request and reads each state list, member list and project
//! once, however many operations a batch has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use contracts::workspaces::ProjectAccess;
use kernel::ids::{EntityId, ProjectId, TaskId, UserId, WorkspaceId};
use kernel::roles::Permission;
use kernel::{Error, FieldError, Result, Timestamp};
use platform::Caller;
use platform::http::Field;

use super::{Change, TasksService};
use crate::command::{CreateTask, UpdateTask};
use crate::error::TasksError;
use crate::model::{
    Due, LabelId, MAX_DEPTH, MAX_LINKS, MAX_TEXT, MAX_TITLE, Priority, State, StateId, Status, Task, default_state, due, first_state,
    mentions, position, text,
};
use crate::store;

pub(crate) struct Decider<'a> {
    pub service: &'a TasksService,
    pub caller: &'a Caller,
    /// JSON Pointer of the task in the body; empty when the body is the task.
    pub prefix: String,
    projects: HashMap<ProjectId, Option<ProjectAccess>>,
    states: HashMap<WorkspaceId, Vec<State>>,
    readers: HashMap<ProjectId, HashSet<UserId>>,
    tasks: HashMap<TaskId, Task>,
    /// All labels of a workspace, where they were read together.
    labels: HashMap<WorkspaceId, HashSet<LabelId>>,
    /// Tells apart the positions of tasks created in one request.
    created: u64,
}

impl<'a> Decider<'a> {
    pub fn new(service: &'a TasksService, caller: &'a Caller) -> Self {
        Self {
            service,
            caller,
            prefix: String::new(),
            projects: HashMap::new(),
            states: HashMap::new(),
            readers: HashMap::new(),
            tasks: HashMap::new(),
            labels: HashMap::new(),
            created: 0,
        }
    }

    /// Reads many tasks at once; [`Decider::task`] then asks nothing more.
    pub async fn preload(&mut self, ids: &[TaskId]) -> Result<()> {
        let mut tasks = store::tasks::list_by_ids(&self.service.db, ids).await?;
        store::people::attach(&self.service.db, &mut tasks).await?;
        self.tasks = tasks.into_iter().map(|task| (task.id, task)).collect();
        Ok(())
    }

    /// Reads a task again after another operation of the request changed it.
    pub async fn reload(&mut self, id: TaskId) -> Result<()> {
        if self.tasks.contains_key(&id) {
            let mut tasks = store::tasks::list_by_ids(&self.service.db, &[id]).await?;
            store::people::attach(&self.service.db, &mut tasks).await?;
            self.tasks.extend(tasks.into_iter().map(|task| (task.id, task)));
        }
        Ok(())
    }

    /// A preloaded live task and the caller's standing in its project.
    pub async fn task(&mut self, task_id: TaskId, permission: Permission) -> Result<(Task, ProjectAccess)> {
        let task = self.tasks.get(&task_id).cloned().ok_or(TasksError::TaskNotFound)?;
        let access = self.find_project(task.project_id).await?.ok_or(TasksError::TaskNotFound)?;
        super::permit(&access, permission)?;
        if task.is_live() {
            Ok((task, access))
        } else {
            Err(TasksError::TaskNotFound.into())
        }
    }

    pub async fn find_project(&mut self, project_id: ProjectId) -> Result<Option<ProjectAccess>> {
        if let Some(known) = self.projects.get(&project_id) {
            return Ok(known.clone());
        }
        let access = self.service.find_project(self.caller, project_id).await?;
        self.projects.insert(project_id, access.clone());
        Ok(access)
    }

    fn pointer(&self, field: &str) -> String {
        format!("{}/{field}", self.prefix)
    }

    pub async fn states(&mut self, workspace_id: WorkspaceId) -> Result<&[State]> {
        if !self.states.contains_key(&workspace_id) {
            let states = self.service.ensure_states(workspace_id).await?;
            self.states.insert(workspace_id, states);
        }
        Ok(self.states.get(&workspace_id).map_or(&[], Vec::as_slice))
    }

    /// The state new and reopened tasks enter.
    pub async fn default_state(&mut self, workspace_id: WorkspaceId) -> Result<State> {
        let states = self.states(workspace_id).await?;
        default_state(states)
            .cloned()
            .ok_or_else(|| Error::internal("workspace without an open state"))
    }

    /// The state completed tasks enter.
    pub async fn done_state(&mut self, workspace_id: WorkspaceId) -> Result<State> {
        let states = self.states(workspace_id).await?;
        first_state(states, Status::Done)
            .cloned()
            .ok_or_else(|| Error::internal("workspace without a done state"))
    }

    pub async fn create(&mut self, access: &ProjectAccess, command: CreateTask) -> Result<Change> {
        let mut errors = Vec::new();
        let now = self.caller.now;
        let title = text::line(&command.title, MAX_TITLE, &self.pointer("title"), &mut errors);
        let description = command.description.unwrap_or_default();
        text::markdown(&description, MAX_TEXT, &self.pointer("description"), &mut errors);
        let due = self.due(access, command.due_date.as_deref(), command.due_at, &mut errors);
        let state = match command.state_id {
            None => Some(self.default_state(access.workspace_id).await?),
            Some(id) => self.state(access.workspace_id, id, &mut errors).await?,
        };
        let assignee_ids = self
            .assignees(access, command.assignee_ids.unwrap_or_default(), &mut errors)
            .await?;
        let label_ids = self.labels(access, command.label_ids.unwrap_or_default(), &mut errors).await?;
        let ancestors = match command.parent_id {
            Some(parent) => self.ancestors(access, None, parent, &mut errors).await?,
            None => Vec::new(),
        };
        let (true, Some(state)) = (errors.is_empty(), state) else {
            return Err(Error::invalid(errors));
        };
        let mentioned = self.mentioned(access, &description, "").await?;
        self.created += 1;
        let id = TaskId::generate(&*self.service.toolkit.clock);
        let mut task = Task {
            id,
            workspace_id: access.workspace_id,
            project_id: access.project_id,
            number: 0,
            title,
            description,
            state_id: state.id,
            status: state.status,
            priority: command.priority.unwrap_or(Priority::None),
            due,
            parent_id: command.parent_id,
            position: self.position(id),
            creator_id: self.caller.actor.user_id(),
            comment_count: 0,
            subtask_count: 0,
            subtask_done_count: 0,
            version: 1,
            created_at: now,
            updated_at: now,
            completed_at: None,
            archived_at: None,
            deleted_at: None,
            deleted_with: None,
            recurrence_id: None,
            assignee_ids,
            label_ids,
        };
        task.enter(&state, now);
        Ok(Change {
            old: None,
            new: task,
            project_key: access.project_key.clone(),
            mentioned,
            ancestors,
        })
    }

    /// Later tasks of one request lie behind earlier ones; tasks of different requests are told apart by chance.
    fn position(&self, id: TaskId) -> String {
        let (microseconds, low) = (self.created >> 8, self.created & 0xff);
        let chance = u64::from(id.uuid().into_bytes()[15]);
        let salt = u16::try_from((low << 8) | chance).unwrap_or(u16::MAX);
        position::at_end(self.caller.now.plus(Duration::from_micros(microseconds)), salt)
    }

    /// Says what labels there are, so that [`Decider::create`] need not ask for each task.
    pub fn know_labels(&mut self, workspace_id: WorkspaceId, labels: impl Iterator<Item = LabelId>) {
        self.labels.insert(workspace_id, labels.collect());
    }

    pub async fn update(&mut self, old: Task, access: &ProjectAccess, command: UpdateTask) -> Result<Change> {
        let mut errors = Vec::new();
        let mut new = old.clone();
        let mut ancestors = Vec::new();
        self.update_texts(&mut new, &command, &mut errors);
        self.update_due(&mut new, access, &command, &mut errors);
        match command.state_id {
            Field::Absent => {}
            Field::Null => errors.push(FieldError::not_null(self.pointer("state_id"))),
            Field::Value(id) => {
                if let Some(state) = self.state(access.workspace_id, id, &mut errors).await? {
                    new.enter(&state, self.caller.now);
                }
            }
        }
        if let Some(priority) = command.priority.into_option() {
            new.priority = priority.unwrap_or(Priority::None);
        }
        if let Some(assignees) = command.assignee_ids.into_option() {
            new.assignee_ids = self.assignees(access, assignees.unwrap_or_default(), &mut errors).await?;
        }
        if let Some(labels) = command.label_ids.into_option() {
            new.label_ids = self.labels(access, labels.unwrap_or_default(), &mut errors).await?;
        }
        if let Some(parent) = command.parent_id.into_option() {
            if let Some(parent) = parent.filter(|_| parent != old.parent_id) {
                ancestors = self.ancestors(access, Some(&old), parent, &mut errors).await?;
            }
            new.parent_id = parent;
        }
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        let mentioned = self.mentioned(access, &new.description, &old.description).await?;
        Ok(Change {
            old: Some(old),
            new,
            project_key: access.project_key.clone(),
            mentioned,
            ancestors,
        })
    }

    fn update_texts(&self, new: &mut Task, command: &UpdateTask, errors: &mut Vec<FieldError>) {
        match &command.title {
            Field::Absent => {}
            Field::Null => errors.push(FieldError::not_null(self.pointer("title"))),
            Field::Value(title) => new.title = text::line(title, MAX_TITLE, &self.pointer("title"), errors),
        }
        match &command.description {
            Field::Absent => {}
            Field::Null => new.description = String::new(),
            Field::Value(description) => {
                text::markdown(description, MAX_TEXT, &self.pointer("description"), errors);
                new.description.clone_from(description);
            }
        }
    }

    fn update_due(&self, new: &mut Task, access: &ProjectAccess, command: &UpdateTask, errors: &mut Vec<FieldError>) {
        match (&command.due_date, &command.due_at) {
            (Field::Absent, Field::Absent) => {}
            (Field::Value(date), at) => {
                let at = if let Field::Value(at) = at { Some(*at) } else { None };
                new.due = self.due(access, Some(date), at, errors);
            }
            (_, Field::Value(at)) => new.due = self.due(access, None, Some(*at), errors),
            (_, Field::Null) => new.due = None,
            // `due_date: null` says that there is no due day; a due moment stays.
            (Field::Null, Field::Absent) => new.due = new.due.filter(|due| due.date.is_none()),
        }
    }

    fn due(&self, access: &ProjectAccess, date: Option<&str>, at: Option<Timestamp>, errors: &mut Vec<FieldError>) -> Option<Due> {
        match (date, at) {
            (None, None) => None,
            (None, Some(at)) if due::moment_in_range(at) => Some(Due::moment(at)),
            (None, Some(_)) => {
                errors.push(FieldError::new(self.pointer("due_at"), "out_of_range", due::RANGE));
                None
            }
            (Some(_), Some(_)) => {
                errors.push(FieldError::new(
                    self.pointer("due_at"),
                    "exclusive",
                    "a task is due on a day or at a moment: give due_date or due_at, not both",
                ));
                None
            }
            (Some(date), None) => {
                let (code, detail) = match due::parse_date(date) {
                    Some(date) if due::date_in_range(date) => return Some(Due::day(date, &access.time_zone)),
                    Some(_) => ("out_of_range", due::RANGE),
                    None => ("invalid_date", "must be a date such as 2026-12-24"),
                };
                errors.push(FieldError::new(self.pointer("due_date"), code, detail));
                None
            }
        }
    }

    pub async fn state(&mut self, workspace_id: WorkspaceId, id: StateId, errors: &mut Vec<FieldError>) -> Result<Option<State>> {
        let pointer = self.pointer("state_id");
        let found = self.states(workspace_id).await?.iter().find(|state| state.id == id).cloned();
        if found.is_none() {
            errors.push(FieldError::new(pointer, "unknown_state", "is no state of the workspace"));
        }
        Ok(found)
    }

    /// Sorted, without repetitions. Everybody must be able to read the project, also who is assigned already.
    async fn assignees(&mut self, access: &ProjectAccess, asked: Vec<UserId>, errors: &mut Vec<FieldError>) -> Result<Vec<UserId>> {
        if asked.len() > MAX_LINKS {
            errors.push(too_many(self.pointer("assignee_ids")));
            return Ok(Vec::new());
        }
        for (index, user) in asked.iter().enumerate() {
            if !self.is_reader(access, *user).await? {
                errors.push(FieldError::new(
                    format!("{}/{index}", self.pointer("assignee_ids")),
                    "not_a_member",
                    "is no member who can read the project",
                ));
            }
        }
        Ok(asked.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }

    pub async fn is_reader(&mut self, access: &ProjectAccess, user_id: UserId) -> Result<bool> {
        self.load_readers(access).await?;
        Ok(self
            .readers
            .get(&access.project_id)
            .is_some_and(|readers| readers.contains(&user_id)))
    }

    async fn load_readers(&mut self, access: &ProjectAccess) -> Result<()> {
        if !self.readers.contains_key(&access.project_id) {
            let readers = self.service.readers(self.caller, access).await?.into_iter().collect();
            self.readers.insert(access.project_id, readers);
        }
        Ok(())
    }

    async fn labels(&self, access: &ProjectAccess, asked: Vec<LabelId>, errors: &mut Vec<FieldError>) -> Result<Vec<LabelId>> {
        if asked.len() > MAX_LINKS {
            errors.push(too_many(self.pointer("label_ids")));
            return Ok(Vec::new());
        }
        let found;
        let known = match self.labels.get(&access.workspace_id) {
            Some(known) => known,
            None => {
                found = self.find_labels(access.workspace_id, &asked).await?;
                &found
            }
        };
        for (index, label) in asked.iter().enumerate() {
            if !known.contains(label) {
                errors.push(FieldError::new(
                    format!("{}/{index}", self.pointer("label_ids")),
                    "unknown_label",
                    "is no label of the workspace",
                ));
            }
        }
        Ok(asked.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn find_labels(&self, workspace_id: WorkspaceId, asked: &[LabelId]) -> Result<HashSet<LabelId>> {
        let labels = store::labels::list_by_ids(&self.service.db, asked).await?;
        let labels = labels.into_iter().filter(|label| label.workspace_id == workspace_id);
        Ok(labels.map(|label| label.id).collect())
    }

    /// The people `text` mentions and `before` does not, as far as they can read the project; nobody else learns
    /// anything from being mentioned.
    pub async fn mentioned(&mut self, access: &ProjectAccess, text: &str, before: &str) -> Result<Vec<UserId>> {
        if text == before {
            return Ok(Vec::new());
        }
        let known = mentions::mentioned(before);
        let mut fresh: Vec<UserId> = mentions::mentioned(text).into_iter().filter(|user| !known.contains(user)).collect();
        if !fresh.is_empty() {
            self.load_readers(access).await?;
            let readers = self.readers.get(&access.project_id);
            fresh.retain(|user| readers.is_some_and(|readers| readers.contains(user)));
        }
        Ok(fresh)
    }

    /// Checks a parent: same project, alive, no cycle, not too deep. Gives the parent and all above it with their
    /// versions.
    async fn ancestors(
        &self,
        access: &ProjectAccess,
        child: Option<&Task>,
        parent: TaskId,
        errors: &mut Vec<FieldError>,
    ) -> Result<Vec<(TaskId, i64)>> {
        let pointer = self.pointer("parent_id");
        let mut chain: Vec<(TaskId, i64)> = Vec::new();
        let mut cursor = Some(parent);
        while let Some(id) = cursor {
            if child.is_some_and(|child| child.id == id) {
                errors.push(FieldError::new(pointer, "cycle", "is the task itself or one of its sub-tasks"));
                return Ok(Vec::new());
            }
            let found = store::tasks::find(&self.service.db, id).await?;
            let usable = |task: &Task| task.project_id == access.project_id && task.is_live() && task.archived_at.is_none();
            let Some(task) = found.filter(|task| !chain.is_empty() || usable(task)) else {
                errors.push(FieldError::new(pointer, "unknown_parent", "is no open task of the project"));
                return Ok(Vec::new());
            };
            chain.push((task.id, task.version));
            cursor = task.parent_id.filter(|_| chain.len() <= MAX_DEPTH);
        }
        let levels = match child {
            None => 1,
            Some(child) => self.service.levels(child.id).await?,
        };
        if chain.len() + levels > MAX_DEPTH {
            let detail = format!("sub-tasks lie at most {MAX_DEPTH} levels deep");
            errors.push(FieldError::new(pointer, "too_deep", detail));
        }
        Ok(chain)
    }
}

fn too_many(pointer: String) -> FieldError {
    FieldError::new(pointer, "too_many", format!("must have at most {MAX_LINKS} entries"))
}
