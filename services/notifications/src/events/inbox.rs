//! Decides who hears of what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use contracts::tasks::events::{
    CommentCreated, CommentUpdated, TaskAssigned, TaskCompleted, TaskCreated, TaskDueSoon, TaskOverdue, TaskRef, TaskReopened, TaskUpdated,
    TasksImported,
};
use contracts::workspaces::ListMembers;
use contracts::workspaces::events::{MemberAdded, MemberInvited, MemberRemoved, RoleChanged};
use contracts::{Envelope, EventPayload};
use kernel::Result;
use kernel::ids::{UserId, WorkspaceId};
use kernel::roles::Role;
use platform::db::{Db, Unit};
use platform::events::Consumer;

use super::find_payload;
use crate::NotificationsService;
use crate::model::{Content, Kind, People, TaskFact, concerns, task_recipients};
use crate::service::deliver::{Draft, Reasons};
use crate::store::{participants, preferences, subscriptions};

pub(super) struct InboxConsumer(pub Arc<NotificationsService>);

#[async_trait]
impl Consumer for InboxConsumer {
    fn name(&self) -> &'static str {
        "notifications.inbox"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[
            CommentCreated::TYPE,
            CommentUpdated::TYPE,
            MemberAdded::TYPE,
            MemberInvited::TYPE,
            MemberRemoved::TYPE,
            RoleChanged::TYPE,
            TaskAssigned::TYPE,
            TaskCompleted::TYPE,
            TaskCreated::TYPE,
            TaskDueSoon::TYPE,
            TaskOverdue::TYPE,
            TaskReopened::TYPE,
            TaskUpdated::TYPE,
            TasksImported::TYPE,
        ]
    }
    fn db(&self) -> &Db {
        &self.0.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        let draft = if let Some(import) = find_payload::<TasksImported>(event)? {
            Some(about_import(event, import))
        } else if let Some(news) = TaskNews::find(event)? {
            self.about_task(event, news, unit).await?
        } else {
            self.about_members(event).await?
        };
        match draft {
            Some(draft) => self.0.deliver(draft, unit).await,
            None => Ok(()),
        }
    }
}

/// A task event, reduced to what decides about its news.
struct TaskNews {
    fact: TaskFact,
    task: TaskRef,
    mentioned: Vec<UserId>,
    added: Vec<UserId>,
    imported: bool,
    content: Content,
}

impl TaskNews {
    fn new(fact: TaskFact, task: TaskRef) -> Self {
        Self {
            content: Content {
                title: task.title.clone(),
                ..Content::default()
            },
            fact,
            task,
            mentioned: Vec::new(),
            added: Vec::new(),
            imported: false,
        }
    }

    fn find(event: &Envelope) -> Result<Option<Self>> {
        if let Some(e) = find_payload::<TaskCreated>(event)? {
            return Ok(Some(Self {
                mentioned: e.mentioned_ids,
                imported: e.import_id.is_some(),
                ..Self::new(TaskFact::Created, e.task)
            }));
        }
        if let Some(e) = find_payload::<TaskUpdated>(event)? {
            let mut news = Self::new(TaskFact::Updated, e.task);
            news.mentioned = e.mentioned_ids;
            news.content.changed = e.changed;
            return Ok(Some(news));
        }
        if let Some(e) = find_payload::<TaskAssigned>(event)? {
            return Ok(Some(Self {
                added: e.added_ids,
                ..Self::new(TaskFact::Assigned, e.task)
            }));
        }
        if let Some(e) = find_payload::<TaskCompleted>(event)? {
            return Ok(Some(Self::new(TaskFact::Completed, e.task)));
        }
        if let Some(e) = find_payload::<TaskReopened>(event)? {
            return Ok(Some(Self::new(TaskFact::Reopened, e.task)));
        }
        if let Some(e) = find_payload::<TaskDueSoon>(event)? {
            let mut news = Self::new(TaskFact::DueSoon, e.task);
            news.content.due_at = Some(e.due_at);
            return Ok(Some(news));
        }
        if let Some(e) = find_payload::<TaskOverdue>(event)? {
            let mut news = Self::new(TaskFact::Overdue, e.task);
            news.content.due_at = Some(e.due_at);
            return Ok(Some(news));
        }
        Self::find_comment(event)
    }

    fn find_comment(event: &Envelope) -> Result<Option<Self>> {
        if let Some(e) = find_payload::<CommentCreated>(event)? {
            let mut news = Self::new(TaskFact::Commented, e.task);
            news.mentioned = e.mentioned_ids;
            news.content.comment_id = Some(e.comment_id);
            news.content.excerpt = Some(e.excerpt);
            return Ok(Some(news));
        }
        if let Some(e) = find_payload::<CommentUpdated>(event)? {
            let mut news = Self::new(TaskFact::CommentEdited, e.task);
            news.mentioned = e.mentioned_ids;
            news.content.comment_id = Some(e.comment_id);
            return Ok(Some(news));
        }
        Ok(None)
    }

    /// Several events can tell of one change of a task; comments and due moments are changes of their own.
    fn change_key(&self) -> Option<String> {
        matches!(
            self.fact,
            TaskFact::Created | TaskFact::Updated | TaskFact::Assigned | TaskFact::Completed | TaskFact::Reopened
        )
        .then(|| format!("{}:{}", self.task.task_id, self.task.version))
    }
}

impl InboxConsumer {
    async fn about_task<'a>(&self, event: &'a Envelope, news: TaskNews, unit: &mut Unit) -> Result<Option<Draft<'a>>> {
        let task = &news.task;
        let actor = event.actor.user_id();
        if news.fact == TaskFact::Commented
            && let Some(author) = actor
        {
            participants::join(unit, task, author, self.0.toolkit.clock.now());
        }
        // A file of a thousand tasks would be a thousand lines in somebody's inbox; the import is told as one.
        if news.imported {
            return Ok(None);
        }
        if news.fact == TaskFact::Updated && news.mentioned.is_empty() && !concerns(&news.content.changed) {
            return Ok(None);
        }
        let mut people = People {
            actor,
            creator: task.creator_id,
            assignees: task.assignee_ids.iter().copied().collect(),
            added: news.added.iter().copied().collect(),
            mentioned: news.mentioned.iter().copied().collect(),
            ..People::default()
        };
        match news.fact {
            TaskFact::Updated | TaskFact::Completed | TaskFact::Reopened | TaskFact::Commented => {
                people.participants = participants::of_task(&self.0.db, task.workspace_id, task.task_id).await?;
            }
            TaskFact::Created => people.audience = self.audience(event, task).await?,
            TaskFact::Assigned | TaskFact::CommentEdited | TaskFact::DueSoon | TaskFact::Overdue => {}
        }
        // What these two tell is addressed to people, which nobody can mute.
        if !matches!(news.fact, TaskFact::Assigned | TaskFact::CommentEdited) {
            people.choices = subscriptions::of_task(&self.0.db, task.project_id, task.task_id).await?;
        }
        Ok(Some(Draft {
            event,
            workspace_id: task.workspace_id,
            project_id: Some(task.project_id),
            task_id: Some(task.task_id),
            recipients: task_recipients(news.fact, &people),
            about: None,
            subscribed: people.choices.subscribed,
            change_key: news.change_key(),
            content: news.content,
        }))
    }

    /// Everybody in the project, when anybody at all wants to hear of new tasks; preferences sort them out later.
    async fn audience(&self, event: &Envelope, task: &TaskRef) -> Result<BTreeSet<UserId>> {
        if !preferences::anybody_wants(&self.0.db, Kind::TaskCreated).await? {
            return Ok(BTreeSet::new());
        }
        let request = ListMembers {
            workspace_id: task.workspace_id,
            project_id: Some(task.project_id),
        };
        let members = self.0.workspaces.list_members(&self.0.context(event), request).await?;
        Ok(members.into_iter().map(|member| member.user_id).collect())
    }

    async fn about_members<'a>(&self, event: &'a Envelope) -> Result<Option<Draft<'a>>> {
        let named = |title: String| Content {
            title,
            ..Content::default()
        };
        if let Some(e) = find_payload::<MemberInvited>(event)? {
            let content = Content {
                invitation_id: Some(e.invitation_id),
                role: Some(e.role.to_string()),
                ..named(e.workspace_name)
            };
            let recipients = e.user_id.into_iter().map(|user| only(user, Kind::MemberInvited)).collect();
            return Ok(Some(member_draft(event, e.workspace_id, recipients, content)));
        }
        if let Some(e) = find_payload::<RoleChanged>(event)? {
            let role = e.new_role.map(|role| role.to_string());
            let content = Content {
                role: role.or_else(|| e.new_sales_role.map(|role| role.to_string())),
                project_name: e.project_name,
                ..named(e.workspace_name)
            };
            let draft = member_draft(
                event,
                e.workspace_id,
                BTreeMap::from([only(e.user_id, Kind::MemberRoleChanged)]),
                content,
            );
            return Ok(Some(Draft {
                project_id: e.project_id,
                ..draft
            }));
        }
        if let Some(e) = find_payload::<MemberAdded>(event)? {
            let mut recipients = self.owners(event, e.workspace_id, Kind::MemberAdded).await?;
            recipients.extend([only(e.user_id, Kind::MemberAdded)]);
            let draft = member_draft(event, e.workspace_id, recipients, named(e.workspace_name));
            return Ok(Some(Draft {
                about: Some(e.user_id),
                ..draft
            }));
        }
        if let Some(e) = find_payload::<MemberRemoved>(event)? {
            let mut recipients = self.owners(event, e.workspace_id, Kind::MemberRemoved).await?;
            recipients.remove(&e.user_id);
            let draft = member_draft(event, e.workspace_id, recipients, named("the workspace".to_owned()));
            return Ok(Some(Draft {
                about: Some(e.user_id),
                ..draft
            }));
        }
        Ok(None)
    }

    async fn owners(&self, event: &Envelope, workspace_id: WorkspaceId, kind: Kind) -> Result<Reasons> {
        let request = ListMembers {
            workspace_id,
            project_id: None,
        };
        let members = self.0.workspaces.list_members(&self.0.context(event), request).await?;
        let owners = members.into_iter().filter(|member| member.role == Role::Owner);
        Ok(owners.map(|member| only(member.user_id, kind)).collect())
    }
}

/// One line for everybody who got tasks by it, however many they are.
fn about_import(event: &Envelope, import: TasksImported) -> Draft<'_> {
    let recipients = import
        .assignee_ids
        .into_iter()
        .map(|user| only(user, Kind::TasksImported))
        .collect();
    let content = Content {
        title: import.project_name,
        count: Some(import.created),
        ..Content::default()
    };
    Draft {
        project_id: Some(import.project_id),
        ..member_draft(event, import.workspace_id, recipients, content)
    }
}

/// One person with one reason.
fn only(user: UserId, kind: Kind) -> (UserId, BTreeSet<Kind>) {
    (user, BTreeSet::from([kind]))
}

fn member_draft(event: &Envelope, workspace_id: WorkspaceId, recipients: Reasons, content: Content) -> Draft<'_> {
    Draft {
        event,
        workspace_id,
        project_id: None,
        task_id: None,
        recipients,
        content,
        about: None,
        subscribed: BTreeSet::new(),
        change_key: None,
    }
}
