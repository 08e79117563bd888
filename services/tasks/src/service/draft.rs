//! From a decided change to a unit: rows, counters, search terms, history, events and reminders.
//!
//! The difference between the task before and after decides everything, so each use case only says what the task
//! shall be. Several changes can share a draft (a batch, a subtree); the draft keeps count of the versions it has
//! already given, because a task can be both changed itself and counted by its sub-tasks in one unit.

use std::collections::HashMap;
use std::time::Duration;

use contracts::audit::{Action, Entry, Log};
use contracts::tasks::ImportId;
use contracts::tasks::events::{
    TaskArchived, TaskAssigned, TaskCompleted, TaskCreated, TaskDeleted, TaskRef, TaskReopened, TaskRestored, TaskUpdated,
};
use kernel::Timestamp;
use kernel::ids::{EntityId, TaskId, UserId};
use kernel::time::SharedClock;
use platform::Caller;
use platform::db::{DbError, Output, Slot, Unit};
use serde_json::{Value, json};

use crate::jobs;
use crate::model::{ActivityId, Status, Task, terms};
use crate::store::activity::Activity;
use crate::store::tasks::{Counts, PARENT_GONE};
use crate::store::{self};
use crate::view::TaskView;

/// A decided change of one task.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// `None`: the task is new.
    pub old: Option<Task>,
    pub new: Task,
    pub project_key: String,
    /// People the text mentions now and did not before.
    pub mentioned: Vec<UserId>,
    /// Tasks above the new parent with the versions that were read: they must not have moved, or a cycle could close.
    pub ancestors: Vec<(TaskId, i64)>,
}

impl Change {
    pub fn update(old: Task, new: Task, project_key: &str) -> Self {
        Self {
            old: Some(old),
            new,
            project_key: project_key.to_owned(),
            mentioned: Vec::new(),
            ancestors: Vec::new(),
        }
    }
}

/// A unit under construction.
pub(crate) struct Draft {
    pub unit: Unit,
    actor_id: Option<UserId>,
    now: Timestamp,
    clock: SharedClock,
    due_soon: Duration,
    /// Set where the changes belong to an import.
    import: Option<ImportId>,
    /// How often this draft raises the version of a task.
    raised: HashMap<TaskId, i64>,
}

/// Renders tasks from their rows at the end of the unit, so that numbers, versions and counters are the committed ones.
pub(crate) struct Rendering {
    slot: Slot<Task>,
    tasks: Vec<(Task, String)>,
}

impl Rendering {
    /// Views in the order of the changes.
    pub fn views(self, output: &mut Output) -> Result<Vec<TaskView>, DbError> {
        let mut rows: HashMap<TaskId, Task> = output.take(&self.slot).into_iter().map(|task| (task.id, task)).collect();
        self.tasks
            .into_iter()
            .map(|(decided, key)| {
                let mut task = rows.remove(&decided.id).ok_or(DbError::NoRow)?;
                task.assignee_ids = decided.assignee_ids;
                task.label_ids = decided.label_ids;
                Ok(TaskView::new(task, &key))
            })
            .collect()
    }

    pub fn view(self, output: &mut Output) -> Result<TaskView, DbError> {
        self.views(output)?.pop().ok_or(DbError::NoRow)
    }
}

impl Draft {
    pub fn new(service: &super::TasksService, caller: &Caller) -> Self {
        Self {
            unit: Unit::new(caller),
            actor_id: caller.actor.user_id(),
            now: caller.now,
            clock: service.toolkit.clock.clone(),
            due_soon: Duration::from_secs(u64::from(service.config.due_soon_hours) * 3_600),
            import: None,
            raised: HashMap::new(),
        }
    }

    /// Of many tasks that come from a file: who hears of single tasks does not hear of these, and what was due before is not
    /// announced as overdue.
    pub fn of_import(service: &super::TasksService, caller: &Caller, import: ImportId) -> Self {
        Self {
            import: Some(import),
            ..Self::new(service, caller)
        }
    }

    /// Appends a change and says what to render for it. A change without a difference appends nothing.
    pub fn write(&mut self, change: Change) -> (Task, String) {
        let Change {
            old,
            mut new,
            project_key,
            mentioned,
            ancestors,
        } = change;
        match old {
            None => {
                self.create(&new, &project_key, mentioned);
                // Not their versions: many may be created below one task at the same time.
                let parents = ancestors.iter().skip(1).map(|(id, _)| Some(*id)).chain([None]);
                for ((id, _), parent_id) in ancestors.iter().zip(parents) {
                    store::tasks::require_parent(&mut self.unit, *id, parent_id);
                }
            }
            Some(old) => {
                let lines = differences(&old, &new);
                if !lines.is_empty() {
                    for (id, version) in ancestors {
                        let raised = self.raised_by(id);
                        store::tasks::require_version(&mut self.unit, id, version + raised);
                    }
                    self.update(&old, &mut new, lines, mentioned);
                }
            }
        }
        (new, project_key)
    }

    /// Call last: reads the rows as they are after everything before.
    pub fn render(&mut self, tasks: Vec<(Task, String)>) -> Rendering {
        let slot = self.unit.read(store::tasks::by_ids(tasks.iter().map(|(task, _)| task.id)));
        Rendering { slot, tasks }
    }

    fn raised_by(&self, id: TaskId) -> i64 {
        self.raised.get(&id).copied().unwrap_or(0)
    }

    fn raise(&mut self, id: TaskId) {
        *self.raised.entry(id).or_insert(0) += 1;
    }

    fn create(&mut self, task: &Task, project_key: &str, mentioned: Vec<UserId>) {
        self.count_in_parent(None, Some(task));
        store::tasks::insert_numbered(&mut self.unit, task, project_key);
        store::people::assign(&mut self.unit, task, &task.assignee_ids, self.now);
        store::people::add_labels(&mut self.unit, task.id, &task.label_ids);
        store::terms::add(&mut self.unit, task, &terms::task_terms(&task.title, &task.description));
        self.record(task, "created", None, Value::Null, json!(task.title));
        // It names the assignees; no event of their own tells the same once more.
        self.unit.emit(&TaskCreated {
            task: task_ref(task),
            mentioned_ids: mentioned,
            import_id: self.import,
        });
        let is_old = self.import.is_some() && task.reminder_at().is_some_and(|due_at| due_at <= self.now);
        if !is_old {
            self.remind(None, task);
        }
    }

    fn update(&mut self, old: &Task, new: &mut Task, lines: Vec<Line>, mentioned: Vec<UserId>) {
        let expected = old.version + self.raised_by(old.id);
        new.version = expected + 1;
        new.updated_at = self.now;
        self.raise(old.id);
        // The row first: on MySQL a link row locks its task through the foreign key, and a lock taken in two steps deadlocks.
        store::tasks::update(&mut self.unit, new, expected);
        self.count_in_parent(Some(old), Some(new));
        let (added, removed) = difference(&old.assignee_ids, &new.assignee_ids);
        store::people::unassign(&mut self.unit, new.id, &removed);
        store::people::assign(&mut self.unit, new, &added, self.now);
        let (labelled, unlabelled) = difference(&old.label_ids, &new.label_ids);
        store::people::remove_labels(&mut self.unit, new.id, &unlabelled);
        store::people::add_labels(&mut self.unit, new.id, &labelled);
        if (&old.title, &old.description) != (&new.title, &new.description) {
            let before = terms::task_terms(&old.title, &old.description);
            let after = terms::task_terms(&new.title, &new.description);
            store::terms::remove(&mut self.unit, new, &before.difference(&after).cloned().collect());
            store::terms::add(&mut self.unit, new, &after.difference(&before).cloned().collect());
        }
        self.announce(old, new, &lines, (added, removed), mentioned);
        for line in lines {
            // Where a card lies on the board is no history, and how a task recurs has its own line.
            if !matches!(line.field, Some("position" | "recurrence_id")) {
                self.record(new, line.kind, line.field, line.old, line.new);
            }
        }
        self.remind(Some(old), new);
        self.recur(old, new);
    }

    fn announce(&mut self, old: &Task, new: &Task, lines: &[Line], (added, removed): (Vec<UserId>, Vec<UserId>), mentioned: Vec<UserId>) {
        let task = || task_ref(new);
        match (old.is_live(), new.is_live()) {
            (true, false) => {
                // One entry in the audit log, however many sub-tasks went along.
                if new.deleted_with.is_none_or(|root| root == new.id) {
                    self.unit.record(audit_entry(new, Action::TaskDeleted));
                }
                return self.unit.emit(&TaskDeleted { task: task() });
            }
            (false, true) => {
                if old.deleted_with.is_none_or(|root| root == old.id) {
                    self.unit.record(audit_entry(new, Action::TaskRestored));
                }
                return self.unit.emit(&TaskRestored { task: task() });
            }
            // A clean-up of a deleted task concerns nobody.
            (false, false) => return,
            (true, true) => {}
        }
        if old.archived_at.is_some() != new.archived_at.is_some() {
            self.unit.emit(&TaskArchived {
                task: task(),
                archived: new.archived_at.is_some(),
            });
        }
        if !added.is_empty() || !removed.is_empty() {
            self.unit.emit(&TaskAssigned {
                task: task(),
                added_ids: added,
                removed_ids: removed,
            });
        }
        match (old.status, new.status) {
            (Status::Done, Status::Done) => {}
            (Status::Done, _) => self.unit.emit(&TaskReopened { task: task() }),
            (_, Status::Done) => self.unit.emit(&TaskCompleted { task: task() }),
            _ => {}
        }
        // Completion, reopening and assignment have their own events; everything else is an update.
        let changed: Vec<String> = lines
            .iter()
            .filter(|line| line.kind == "updated")
            .filter_map(|line| line.field)
            .filter(|field| *field != "assignee_ids")
            .map(str::to_owned)
            .collect();
        if !changed.is_empty() {
            self.unit.emit(&TaskUpdated {
                task: task(),
                changed,
                mentioned_ids: mentioned,
            });
        }
    }

    /// Keeps `subtask_count` and `subtask_done_count` of the parents right.
    fn count_in_parent(&mut self, old: Option<&Task>, new: Option<&Task>) {
        let before = old.and_then(contribution);
        let after = new.and_then(contribution);
        match (before, after) {
            (Some((old_parent, old_done)), Some((new_parent, new_done))) if old_parent == new_parent => {
                if old_done != new_done {
                    self.adjust(new_parent, 0, new_done - old_done, false);
                }
            }
            (before, after) => {
                if let Some((parent, done)) = before {
                    self.adjust(parent, -1, -done, false);
                }
                if let Some((parent, done)) = after {
                    self.adjust(parent, 1, done, true);
                }
            }
        }
    }

    /// With `must_live` the unit fails when the parent was deleted or archived meanwhile.
    fn adjust(&mut self, parent: TaskId, subtasks: i32, done: i32, must_live: bool) {
        let counts = Counts {
            comments: 0,
            subtasks,
            done,
        };
        let guard = must_live.then_some(PARENT_GONE);
        store::tasks::adjust_counts(&mut self.unit, parent, &counts, self.now, guard);
        self.raise(parent);
    }

    pub fn record(&mut self, task: &Task, kind: &str, field: Option<&str>, old: Value, new: Value) {
        let line = Activity {
            id: ActivityId::generate(&*self.clock),
            workspace_id: task.workspace_id,
            task_id: task.id,
            actor_id: self.actor_id,
            kind: kind.to_owned(),
            field: field.map(str::to_owned),
            old,
            new,
            created_at: self.now,
        };
        store::activity::insert(&mut self.unit, &[line]);
    }

    /// Reminders follow the due moment of a task that is still to be done.
    fn remind(&mut self, old: Option<&Task>, new: &Task) {
        let before = old.and_then(Task::reminder_at);
        let after = new.reminder_at();
        if before == after {
            return;
        }
        match after {
            Some(due_at) => jobs::schedule_reminders(&mut self.unit, new.id, due_at, self.now, self.due_soon),
            None => jobs::unschedule_reminders(&mut self.unit, new.id),
        }
    }
}

impl Draft {
    /// A task of a series that is closed, restored or taken out of the archive may have a successor to make.
    fn recur(&mut self, old: &Task, new: &Task) {
        let stands = |task: &Task| task.is_live() && task.archived_at.is_none();
        let closed = new.status.is_closed() && !old.status.is_closed();
        if let Some(series) = new.recurrence_id.filter(|_| stands(new) && (closed || !stands(old))) {
            jobs::schedule_recur(&mut self.unit, series, self.now);
        }
    }
}

/// What a task adds to its parent's counters: itself, and 1 when done.
fn contribution(task: &Task) -> Option<(TaskId, i32)> {
    let parent = task.parent_id.filter(|_| task.is_live())?;
    Some((parent, i32::from(task.status == Status::Done)))
}

pub(super) fn audit_entry(task: &Task, action: Action) -> Entry {
    Entry::new(Log::Workspace(task.workspace_id), action, "task")
        .id(task.id)
        .name(task.title.as_str())
        .with("project_id", task.project_id)
        .with("number", task.number)
}

pub(crate) fn task_ref(task: &Task) -> TaskRef {
    TaskRef {
        task_id: task.id,
        workspace_id: task.workspace_id,
        project_id: task.project_id,
        title: task.title.clone(),
        assignee_ids: task.assignee_ids.clone(),
        creator_id: task.creator_id,
        version: task.version,
    }
}

/// (added, removed) between two sorted lists.
fn difference<T: Copy + Ord>(old: &[T], new: &[T]) -> (Vec<T>, Vec<T>) {
    let added = new.iter().copied().filter(|x| old.binary_search(x).is_err()).collect();
    let removed = old.iter().copied().filter(|x| new.binary_search(x).is_err()).collect();
    (added, removed)
}

/// One changed member.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    kind: &'static str,
    field: Option<&'static str>,
    old: Value,
    new: Value,
}

fn differences(old: &Task, new: &Task) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |kind, field, old: Value, new: Value| {
        if old != new {
            lines.push(Line { kind, field, old, new });
        }
    };
    let due = |task: &Task| {
        task.due.map_or(Value::Null, |due| {
            due.date.map_or_else(|| json!(due.at), |date| json!(date.to_string()))
        })
    };
    line("updated", Some("title"), json!(old.title), json!(new.title));
    if old.description != new.description {
        // Compared whole, kept short: beyond the cut both may look the same.
        lines_push_text(&mut line, &old.description, &new.description);
    }
    let moved = match (old.status, new.status) {
        (before, Status::Done) if before != Status::Done => "completed",
        (Status::Done, after) if after != Status::Done => "reopened",
        _ => "updated",
    };
    line(moved, Some("state_id"), json!(old.state_id), json!(new.state_id));
    line("updated", Some("priority"), json!(old.priority), json!(new.priority));
    line("updated", Some("due_at"), due(old), due(new));
    line("updated", Some("assignee_ids"), json!(old.assignee_ids), json!(new.assignee_ids));
    line("updated", Some("label_ids"), json!(old.label_ids), json!(new.label_ids));
    line("updated", Some("parent_id"), json!(old.parent_id), json!(new.parent_id));
    line("updated", Some("recurrence_id"), json!(old.recurrence_id), json!(new.recurrence_id));
    line("updated", Some("position"), json!(old.position), json!(new.position));
    let archived = if new.archived_at.is_some() { "archived" } else { "unarchived" };
    line(archived, None, json!(old.archived_at), json!(new.archived_at));
    let deleted = if new.is_live() { "restored" } else { "deleted" };
    line(deleted, None, json!(old.deleted_at), json!(new.deleted_at));
    lines
}

/// Longest text kept in the history, in characters.
const EXCERPT: usize = 500;

fn lines_push_text(line: &mut impl FnMut(&'static str, Option<&'static str>, Value, Value), old: &str, new: &str) {
    let cut = |text: &str| -> String {
        let mut head: String = text.chars().take(EXCERPT).collect();
        if head.len() < text.len() {
            head.push('…');
        }
        head
    };
    let (old, mut new) = (cut(old), cut(new));
    if old == new {
        // The difference lies behind the cut; say so, or the change would seem to be none.
        new.push('…');
    }
    line("updated", Some("description"), json!(old), json!(new));
}
