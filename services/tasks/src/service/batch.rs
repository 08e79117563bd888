//! Many operations in one request.

use std::collections::HashSet;

use kernel::ids::TaskId;
use kernel::roles::Permission;
use kernel::{Error, FieldError, Result};
use platform::Caller;
use platform::db::{Reply, Unit};
use serde::Serialize;
use utoipa::ToSchema;

use super::decide::Decider;
use super::tasks::archive;
use super::{Change, Draft, TasksService, permit, writable_project};
use crate::command::{Batch, Operation};
use crate::error::TasksError;
use crate::model::Task;
use crate::view::TaskView;

pub(crate) const MAX_OPERATIONS: usize = 100;

/// What became of a batch; one result per operation, in their order.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({"results": [{"status": 204}, {"status": 404, "problem": {
    "title": "Not found", "status": 404, "code": "tasks.task.not_found", "detail": "There is no such task."}}]}))]
pub struct BatchView {
    pub results: Vec<ItemView>,
}

/// What became of one operation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ItemView {
    /// The HTTP status the operation would have had on its own.
    #[schema(example = 200)]
    pub status: u16,
    /// The task after the operation; absent for deleted tasks and failed operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub task: Option<TaskView>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub problem: Option<ItemProblem>,
}

/// A problem (RFC 9457) inside a batch.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ItemProblem {
    pub title: String,
    pub status: u16,
    #[schema(example = "tasks.task.not_found")]
    pub code: String,
    pub detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

impl From<&Error> for ItemProblem {
    fn from(error: &Error) -> Self {
        Self {
            title: error.kind.title().to_owned(),
            status: error.kind.http_status(),
            code: error.code.to_string(),
            detail: error.detail.to_string(),
            errors: error.fields.clone(),
        }
    }
}

/// A decided operation.
struct Decided {
    status: u16,
    /// The first one is the task itself; a deletion has its sub-tasks behind it.
    changes: Vec<Change>,
}

impl TasksService {
    pub(crate) async fn batch(&self, caller: &Caller, batch: Batch) -> Result<Reply<BatchView>> {
        check_shape(&batch.operations)?;
        let ids: Vec<TaskId> = batch.operations.iter().filter_map(Operation::target).map(|(id, _)| id).collect();
        let mut decider = Decider::new(self, caller);
        decider.preload(&ids).await?;
        if batch.atomic {
            self.batch_atomic(caller, decider, batch.operations).await
        } else {
            self.batch_each(caller, decider, batch.operations).await
        }
    }

    /// Decides everything first; the first failure of another kind than field errors, or all field errors together,
    /// fail the whole.
    async fn batch_atomic(&self, caller: &Caller, mut decider: Decider<'_>, operations: Vec<Operation>) -> Result<Reply<BatchView>> {
        let mut decided = Vec::new();
        let mut fields = Vec::new();
        for (index, operation) in operations.into_iter().enumerate() {
            match decider.operation(index, operation).await {
                Ok(one) => decided.push(one),
                Err(error) if error.kind == kernel::ErrorKind::Invalid => fields.extend(error.fields),
                Err(error) => return Err(at_operation(index, error)),
            }
        }
        if !fields.is_empty() {
            return Err(Error::invalid(fields));
        }
        check_overlap(&decided)?;
        check_parents(&decided)?;
        let mut draft = Draft::new(self, caller);
        let mut shown = Vec::new();
        let mut statuses = Vec::new();
        for Decided { status, changes } in decided {
            let mut written: Vec<_> = changes.into_iter().map(|change| draft.write(change)).collect();
            written.truncate(1);
            shown.append(&mut written);
            statuses.push(status);
        }
        let rendering = draft.render(shown);
        let reply = self.db.apply_reply(draft.unit, move |output| {
            let views = rendering.views(output)?;
            let results = statuses
                .into_iter()
                .zip(views)
                .map(|(status, view)| ItemView {
                    status,
                    task: (status != 204).then_some(view),
                    problem: None,
                })
                .collect();
            Ok(Reply::plain(BatchView { results }))
        });
        Ok(reply.await?)
    }

    /// Each operation is a unit of its own, so the reply for an `Idempotency-Key` is only stored behind the last one: a
    /// crash in between repeats the operations that were done already.
    async fn batch_each(&self, caller: &Caller, mut decider: Decider<'_>, operations: Vec<Operation>) -> Result<Reply<BatchView>> {
        let mut each = caller.clone();
        each.idempotency = None;
        let mut results = Vec::new();
        for (index, operation) in operations.into_iter().enumerate() {
            let outcome = match decider.operation(index, operation).await {
                Ok(decided) => self.apply_decided(&each, decided).await,
                Err(error) => Err(error),
            };
            results.push(outcome.unwrap_or_else(|error| failed(&error)));
            if let Some(id) = results.last().and_then(|item| item.task.as_ref()).and_then(|task| task.parent_id) {
                // A counted parent has a new version; a later operation on it must see that.
                decider.reload(id).await?;
            }
        }
        let unit = Unit::new(caller);
        let reply = self.db.apply_reply(unit, move |_| {
            let mut reply = Reply::plain(BatchView { results });
            reply.status = 207;
            Ok(reply)
        });
        Ok(reply.await?)
    }

    async fn apply_decided(&self, caller: &Caller, decided: Decided) -> Result<ItemView> {
        let Decided { status, changes } = decided;
        let mut draft = Draft::new(self, caller);
        let mut written: Vec<_> = changes.into_iter().map(|change| draft.write(change)).collect();
        written.truncate(1);
        let rendering = draft.render(written);
        let mut output = self.db.apply(draft.unit).await?;
        let view = rendering.view(&mut output)?;
        Ok(ItemView {
            status,
            task: (status != 204).then_some(view),
            problem: None,
        })
    }
}

impl Decider<'_> {
    async fn operation(&mut self, index: usize, operation: Operation) -> Result<Decided> {
        self.prefix = format!("/operations/{index}");
        match operation {
            Operation::Create { project_id, task } => {
                let access = self.find_project(project_id).await?.ok_or(TasksError::ProjectNotFound)?;
                permit(&access, Permission::TaskWrite)?;
                writable_project(&access)?;
                self.prefix.push_str("/task");
                let change = self.create(&access, task).await?;
                Ok(one(201, change))
            }
            Operation::Update { task_id, version, patch } => {
                let (task, access) = self.changeable(task_id, version, Permission::TaskWrite, false).await?;
                self.prefix.push_str("/patch");
                let change = self.update(task, &access, patch).await?;
                Ok(one(200, change))
            }
            Operation::Delete { task_id, version } => {
                let (task, access) = self.changeable(task_id, version, Permission::TaskDelete, true).await?;
                let changes = self.service.decide_delete(self.caller, task, &access.project_key).await?;
                Ok(Decided { status: 204, changes })
            }
            Operation::Complete { task_id, version } => self.completion(task_id, version, true).await,
            Operation::Reopen { task_id, version } => self.completion(task_id, version, false).await,
            Operation::Archive { task_id, version } => self.archival(task_id, version, true).await,
            Operation::Unarchive { task_id, version } => self.archival(task_id, version, false).await,
        }
    }

    async fn completion(&mut self, task_id: TaskId, version: Option<i64>, done: bool) -> Result<Decided> {
        let (task, access) = self.changeable(task_id, version, Permission::TaskWrite, false).await?;
        Ok(one(200, self.complete(task, &access.project_key, done).await?))
    }

    async fn archival(&mut self, task_id: TaskId, version: Option<i64>, archived: bool) -> Result<Decided> {
        let (task, access) = self.changeable(task_id, version, Permission::TaskWrite, true).await?;
        Ok(one(200, archive(self.caller, task, &access.project_key, archived)))
    }

    /// The same questions as for a single change; `version` plays the part of `If-Match`.
    async fn changeable(
        &mut self,
        task_id: TaskId,
        version: Option<i64>,
        permission: Permission,
        even_archived: bool,
    ) -> Result<(Task, contracts::workspaces::ProjectAccess)> {
        let (task, access) = self.task(task_id, permission).await?;
        writable_project(&access)?;
        match version {
            None if access.strict_concurrency => {
                return Err(Error::new(
                    kernel::ErrorKind::PreconditionRequired,
                    "request.version_required",
                    "This workspace demands the version with every change.",
                ));
            }
            Some(version) if version != task.version => return Err(platform::db::Guard::VERSION.into()),
            _ => {}
        }
        if task.archived_at.is_some() && !even_archived {
            return Err(TasksError::TaskArchived.into());
        }
        Ok((task, access))
    }
}

fn one(status: u16, change: Change) -> Decided {
    Decided {
        status,
        changes: vec![change],
    }
}

fn failed(error: &Error) -> ItemView {
    if error.kind.http_status() >= 500 {
        // The reply hides the cause, as every 5xx does; this is its boundary.
        tracing::error!(%error, cause = ?error.cause, "operation of a batch failed");
    }
    ItemView {
        status: error.kind.http_status(),
        task: None,
        problem: Some(error.into()),
    }
}

fn at_operation(index: usize, mut error: Error) -> Error {
    if error.fields.is_empty() && error.kind.http_status() < 500 {
        error.fields.push(FieldError {
            pointer: format!("/operations/{index}"),
            code: error.code.clone(),
            detail: error.detail.to_string(),
        });
    }
    error
}

fn check_shape(operations: &[Operation]) -> Result<()> {
    let mut errors = Vec::new();
    if operations.is_empty() || operations.len() > MAX_OPERATIONS {
        let detail = format!("must have between 1 and {MAX_OPERATIONS} entries");
        errors.push(FieldError::new("/operations", "out_of_range", detail));
    }
    let mut seen = HashSet::new();
    for (index, operation) in operations.iter().enumerate() {
        if let Some((id, _)) = operation.target()
            && !seen.insert(id)
        {
            errors.push(FieldError::new(
                format!("/operations/{index}/task_id"),
                "repeated",
                "occurs in an earlier operation",
            ));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// A deletion takes sub-tasks with it; another operation on one of them was decided without knowing that.
fn check_overlap(decided: &[Decided]) -> Result<()> {
    let mut seen = HashSet::new();
    for (index, one) in decided.iter().enumerate() {
        for change in &one.changes {
            if !seen.insert(change.new.id) {
                return Err(Error::invalid_field(
                    format!("/operations/{index}"),
                    "overlap",
                    "touches a task that another operation deletes with its parent",
                ));
            }
        }
    }
    Ok(())
}

/// Each operation was checked against the tree as it is. Two that meet could close a cycle or go too deep between them,
/// so none may place a task below one that another moves.
fn check_parents(decided: &[Decided]) -> Result<()> {
    let moved: HashSet<_> = decided
        .iter()
        .flat_map(|one| &one.changes)
        .filter(|change| change.old.as_ref().is_some_and(|old| old.parent_id != change.new.parent_id))
        .map(|change| change.new.id)
        .collect();
    for (index, one) in decided.iter().enumerate() {
        for change in &one.changes {
            if change.ancestors.iter().any(|(id, _)| moved.contains(id)) {
                let member = if change.old.is_some() { "patch" } else { "task" };
                return Err(Error::invalid_field(
                    format!("/operations/{index}/{member}/parent_id"),
                    "overlap",
                    "lies below a task that another operation moves",
                ));
            }
        }
    }
    Ok(())
}
