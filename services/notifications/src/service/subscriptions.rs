//! Subscribing to projects and tasks, and muting them. Everybody for themselves, and only what they can read.

use std::collections::HashMap;

use contracts::tasks::{GetTasks, TaskSummary};
use contracts::workspaces::{GetProjectAccess, ProjectAccess};
use kernel::Result;
use kernel::cursor::Page;
use kernel::ids::{EntityId, ProjectId, TaskId, Uuid, WorkspaceId};
use platform::Caller;
use platform::db::{Reply, Unit};

use super::views::SubscriptionView;
use crate::NotificationsService;
use crate::error::NotificationsError;
use crate::model::{Level, Subject, effective};
use crate::store::subscriptions::{self as store, Filter, SubscriptionRow};

/// More than anybody chooses by hand; it bounds the rows of one person.
const MAX_SUBSCRIPTIONS: i64 = 2_000;

/// A project or a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Project(ProjectId),
    Task(TaskId),
}

impl Target {
    const fn id(self) -> Uuid {
        match self {
            Self::Project(id) => id.0,
            Self::Task(id) => id.0,
        }
    }
}

/// Which page of one's choices.
#[derive(Debug, Clone)]
pub(crate) struct ListSubscriptions {
    pub level: Option<Level>,
    pub subject: Option<Subject>,
    pub workspace_id: Option<WorkspaceId>,
    pub cursor: Option<String>,
    pub limit: u32,
}

/// What a target is, found and readable.
struct Found {
    target: Target,
    access: ProjectAccess,
    task: Option<TaskSummary>,
}

impl Found {
    /// Project and task; twice the project when it is about that.
    fn subjects(&self) -> [Uuid; 2] {
        [self.access.project_id.uuid(), self.target.id()]
    }

    fn view(&self, rows: &[SubscriptionRow]) -> SubscriptionView {
        let of = |id: Uuid| rows.iter().find(|row| row.subject_id == id);
        let own = of(self.target.id());
        let project = of(self.access.project_id.uuid()).map(|row| row.level);
        let (subject, key, name) = match &self.task {
            Some(task) => (Subject::Task, task.key.clone(), task.title.clone()),
            None => (Subject::Project, self.access.project_key.clone(), self.access.project_name.clone()),
        };
        SubscriptionView {
            subject,
            workspace_id: self.access.workspace_id,
            project_id: self.access.project_id,
            task_id: self.task.as_ref().map(|task| task.id),
            key,
            name,
            level: own.map(|row| row.level),
            effective_level: effective(project, own.map(|row| row.level)),
            created_at: own.map(|row| row.created_at),
        }
    }
}

impl NotificationsService {
    /// 404 for what the caller cannot read.
    async fn find_target(&self, caller: &Caller, target: Target) -> Result<Found> {
        let (ctx, user_id) = (caller.call(), caller.user_id()?);
        let (project_id, task, missing) = match target {
            Target::Project(id) => (id, None, NotificationsError::ProjectNotFound),
            Target::Task(id) => {
                let tasks = self.tasks.get_tasks(&ctx, GetTasks { ids: vec![id] }).await?;
                let task = tasks.into_iter().next().ok_or(NotificationsError::TaskNotFound)?;
                (task.project_id, Some(task), NotificationsError::TaskNotFound)
            }
        };
        let request = GetProjectAccess { user_id, project_id };
        let access = self.workspaces.get_project_access(&ctx, request).await?.ok_or(missing)?;
        Ok(Found { target, access, task })
    }

    pub(crate) async fn get_subscription(&self, caller: &Caller, target: Target) -> Result<SubscriptionView> {
        let found = self.find_target(caller, target).await?;
        let rows = store::find(&self.db, caller.user_id()?, found.subjects()).await?;
        Ok(found.view(&rows))
    }

    /// Takes the place of an earlier choice about the same project or task.
    pub(crate) async fn subscribe(&self, caller: &Caller, target: Target, level: Level) -> Result<Reply<SubscriptionView>> {
        let user_id = caller.user_id()?;
        let found = self.find_target(caller, target).await?;
        let known = store::find(&self.db, user_id, found.subjects()).await?;
        if !known.iter().any(|row| row.subject_id == target.id()) && store::count(&self.db, user_id).await? >= MAX_SUBSCRIPTIONS {
            return Err(NotificationsError::TooManySubscriptions.into());
        }
        let mut unit = Unit::new(caller);
        let row = SubscriptionRow {
            user_id,
            subject_id: target.id(),
            subject: match target {
                Target::Project(_) => Subject::Project,
                Target::Task(_) => Subject::Task,
            },
            workspace_id: found.access.workspace_id,
            project_id: found.access.project_id,
            level,
            created_at: caller.now,
        };
        store::put(&mut unit, &row);
        let rows = store::read(&mut unit, user_id, found.subjects());
        let reply = self
            .db
            .apply_reply(unit, move |out| Ok(Reply::plain(found.view(&out.take(&rows)))))
            .await?;
        Ok(reply)
    }

    /// Back to hearing what concerns one. Repeating it changes nothing; one's own choice can be taken back without access.
    pub(crate) async fn unsubscribe(&self, caller: &Caller, target: Target) -> Result<()> {
        let user_id = caller.user_id()?;
        if store::find(&self.db, user_id, [target.id(); 2]).await?.is_empty() {
            return self.find_target(caller, target).await.map(drop);
        }
        let mut unit = Unit::new(caller);
        store::delete(&mut unit, user_id, target.id());
        self.db.apply(unit).await?;
        Ok(())
    }

    /// The caller's choices, newest first; none about what they cannot read.
    pub(crate) async fn list_subscriptions(&self, caller: &Caller, request: ListSubscriptions) -> Result<Page<SubscriptionView>> {
        let (ctx, user_id) = (caller.call(), caller.user_id()?);
        let binding = format!(
            "subscriptions|{user_id}|{:?}|{:?}|{:?}",
            request.level, request.subject, request.workspace_id
        );
        let position: Option<(i64, Uuid)> = self.toolkit.cursors.start(request.cursor.as_deref(), &binding)?;
        let scopes = store::scopes(&self.db, user_id).await?;
        let projects = scopes.iter().filter_map(|scope| scope.project_id);
        let readable = self.readable_projects(&ctx, user_id, projects.clone().collect()).await?;
        let filter = Filter {
            level: request.level,
            subject: request.subject,
            workspace_id: request.workspace_id,
            hidden: projects.filter(|project| !readable.contains_key(project)).collect(),
        };
        let rows = store::list(&self.db, user_id, &filter, position, u64::from(request.limit) + 1).await?;
        let page = self
            .toolkit
            .cursors
            .page(rows, request.limit, &binding, |row| (row.created_at.as_micros(), row.subject_id))?;
        let ids = page.items.iter().filter(|row| row.subject == Subject::Task);
        let ids: Vec<TaskId> = ids.map(|row| TaskId::from_uuid(row.subject_id)).collect();
        let tasks = if ids.is_empty() {
            Vec::new()
        } else {
            self.tasks.get_tasks(&ctx, GetTasks { ids }).await?
        };
        let tasks: HashMap<Uuid, TaskSummary> = tasks.into_iter().map(|task| (task.id.uuid(), task)).collect();
        let items = page.items.iter().filter_map(|row| {
            let (target, task) = match row.subject {
                Subject::Project => (Target::Project(row.project_id), None),
                // A deleted task is left out until it is restored.
                Subject::Task => (
                    Target::Task(TaskId::from_uuid(row.subject_id)),
                    Some(tasks.get(&row.subject_id)?.clone()),
                ),
            };
            let access = readable.get(&row.project_id)?.clone();
            Some(Found { target, access, task }.view(std::slice::from_ref(row)))
        });
        Ok(Page {
            items: items.collect(),
            next_cursor: page.next_cursor,
            total: page.total,
        })
    }
}
