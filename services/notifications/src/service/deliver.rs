//! From "these people have a reason" to inbox rows and mails, in the consumer's unit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::Envelope;
use contracts::identity::{GetUsers, UserSummary};
use contracts::notifications::events::NotificationCreated;
use contracts::tasks::GetTasks;
use kernel::ids::{CommentId, EntityId, NotificationId, ProjectId, TaskId, UserId, WorkspaceId};
use kernel::{CallContext, Result};
use platform::db::Unit;
use platform::due::Due;
use platform::mail::{self, Mail};

use super::digest;
use crate::NotificationsService;
use crate::model::{self, Content, EmailMode, Kind, Preferences, Told};
use crate::store;
use crate::store::inbox::{NotificationRow, OfChange, Scope};
use crate::store::settings::SettingsRow;

/// Everybody concerned, with all their reasons.
pub(crate) type Reasons = BTreeMap<UserId, BTreeSet<Kind>>;

/// One event with everybody who has a reason to hear of it.
pub(crate) struct Draft<'a> {
    pub event: &'a Envelope,
    pub workspace_id: WorkspaceId,
    pub project_id: Option<ProjectId>,
    pub task_id: Option<TaskId>,
    pub recipients: Reasons,
    /// What the event itself knows; names and the task's key are added here.
    pub content: Content,
    /// Whom the event is about; the others read that person's name.
    pub about: Option<UserId>,
    /// Who subscribed to the project or the task.
    pub subscribed: BTreeSet<UserId>,
    /// Set when several events can tell of the same change.
    pub change_key: Option<String>,
}

/// What one person gets.
#[derive(Default)]
struct Delivery {
    told: Told,
    /// What they have of the same change already.
    before: OfChange,
    /// Of those who get mails at all; `None`: each at once.
    settings: Option<SettingsRow>,
}

impl NotificationsService {
    pub(crate) fn context(&self, event: &Envelope) -> CallContext {
        let request_id = event.requestid.clone().unwrap_or_else(|| event.id.to_string());
        CallContext::system(request_id, self.toolkit.clock.now())
    }

    /// Never the actor, never somebody without access now, never a disabled account, never against the preferences.
    pub(crate) async fn deliver(&self, mut draft: Draft<'_>, unit: &mut Unit) -> Result<()> {
        if let Some(actor) = draft.event.actor.user_id() {
            draft.recipients.remove(&actor);
        }
        let ctx = self.context(draft.event);
        let mut deliveries = self.wanted(&draft).await?;
        self.keep_readers(&ctx, &draft, &mut deliveries).await?;
        self.keep_news(&draft, &mut deliveries).await?;
        if deliveries.is_empty() {
            return Ok(());
        }
        self.look_up_settings(&mut deliveries).await?;
        let people = self.people(&ctx, &draft, deliveries.keys().copied()).await?;
        self.complete_content(&ctx, &mut draft, &people).await?;
        for (user_id, delivery) in deliveries {
            if let Some(user) = people.get(&user_id).filter(|user| user.active) {
                self.write(unit, &draft, user, &people, &delivery)?;
            }
        }
        Ok(())
    }

    async fn wanted(&self, draft: &Draft<'_>) -> Result<BTreeMap<UserId, Delivery>> {
        let users: Vec<UserId> = draft.recipients.keys().copied().collect();
        let kinds: Vec<Kind> = draft
            .recipients
            .values()
            .flatten()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if users.is_empty() {
            return Ok(BTreeMap::new());
        }
        let chosen = store::preferences::preferences_of_all(&self.db, &users, &kinds).await?;
        let defaults = Preferences::default();
        let deliveries = draft.recipients.iter().filter_map(|(user, reasons)| {
            let preferences = chosen.get(user).unwrap_or(&defaults);
            let told = if draft.subscribed.contains(user) {
                Told::choose(reasons, &preferences.clone().of_subscriber())
            } else {
                Told::choose(reasons, preferences)
            };
            told.kind()?;
            let delivery = Delivery {
                told,
                ..Delivery::default()
            };
            Some((*user, delivery))
        });
        Ok(deliveries.collect())
    }

    async fn keep_readers(&self, ctx: &CallContext, draft: &Draft<'_>, deliveries: &mut BTreeMap<UserId, Delivery>) -> Result<()> {
        let needs_access = |delivery: &Delivery| delivery.told.kind().is_some_and(Kind::needs_access);
        let ask: BTreeSet<UserId> = deliveries
            .iter()
            .filter(|(_, delivery)| needs_access(delivery))
            .map(|(user, _)| *user)
            .collect();
        if ask.is_empty() {
            return Ok(());
        }
        let scope = Scope {
            workspace_id: draft.workspace_id,
            project_id: draft.project_id,
        };
        let readers = self.readers(ctx, &ask, scope).await?;
        deliveries.retain(|user, delivery| !needs_access(delivery) || readers.contains(user));
        Ok(())
    }

    /// Drops what people were told of the same change for a reason at least as specific, on each channel for itself.
    async fn keep_news(&self, draft: &Draft<'_>, deliveries: &mut BTreeMap<UserId, Delivery>) -> Result<()> {
        let Some(change_key) = draft.change_key.as_deref().filter(|_| !deliveries.is_empty()) else {
            return Ok(());
        };
        let mut told = store::inbox::of_change(&self.db, change_key).await?;
        deliveries.retain(|user, delivery| {
            delivery.before = told.remove(user).unwrap_or_default();
            delivery.told = delivery.told.news(delivery.before.told);
            delivery.told.kind().is_some()
        });
        Ok(())
    }

    async fn look_up_settings(&self, deliveries: &mut BTreeMap<UserId, Delivery>) -> Result<()> {
        let mailed = deliveries.iter().filter(|(_, delivery)| delivery.told.email.is_some());
        let mailed: Vec<UserId> = mailed.map(|(user, _)| *user).collect();
        for (user, settings) in store::settings::of_all(&self.db, &mailed).await? {
            if let Some(delivery) = deliveries.get_mut(&user) {
                delivery.settings = Some(settings);
            }
        }
        Ok(())
    }

    async fn people(
        &self,
        ctx: &CallContext,
        draft: &Draft<'_>,
        recipients: impl Iterator<Item = UserId>,
    ) -> Result<HashMap<UserId, UserSummary>> {
        let ids: BTreeSet<UserId> = recipients.chain(draft.event.actor.user_id()).chain(draft.about).collect();
        let ids: Vec<UserId> = ids.into_iter().collect();
        let mut people = HashMap::new();
        // The contract's limit.
        for chunk in ids.chunks(500) {
            let users = self.identity.get_users(ctx, GetUsers { ids: chunk.to_vec() }).await?;
            people.extend(users.into_iter().map(|user| (user.id, user)));
        }
        Ok(people)
    }

    async fn complete_content(&self, ctx: &CallContext, draft: &mut Draft<'_>, people: &HashMap<UserId, UserSummary>) -> Result<()> {
        let name = |user: Option<UserId>| user.and_then(|user| people.get(&user)).map(|user| user.name.clone());
        draft.content.actor_name = name(draft.event.actor.user_id());
        draft.content.person_name = name(draft.about);
        if let Some(task_id) = draft.task_id {
            // A task deleted meanwhile has no key any more; its news still has its title.
            let tasks = self.tasks.get_tasks(ctx, GetTasks { ids: vec![task_id] }).await?;
            draft.content.task_key = tasks.into_iter().next().map(|task| task.key);
        }
        Ok(())
    }

    fn write(
        &self,
        unit: &mut Unit,
        draft: &Draft<'_>,
        user: &UserSummary,
        people: &HashMap<UserId, UserSummary>,
        delivery: &Delivery,
    ) -> Result<()> {
        let mut content = draft.content.clone();
        if draft.about == Some(user.id) {
            content.person_name = None;
        }
        let Some(kind) = delivery.told.kind() else {
            return Ok(());
        };
        let mail = delivery.told.email.filter(|_| self.may_mail(user));
        let daily = delivery
            .settings
            .as_ref()
            .filter(|settings| settings.email_mode == EmailMode::Daily);
        let mut told = delivery.told;
        let mut awaits_digest = mail.is_some() && daily.is_some();
        if told.in_app.is_some() {
            // One change is one line in the inbox: a more specific one takes the place of the weaker, and its memory of mails.
            told = told.with(delivery.before.told);
            awaits_digest |= delivery.before.awaits_digest;
            store::inbox::replace(unit, user.id, &delivery.before.rows);
        } else if delivery.before.awaits_digest {
            // And one line in the digest.
            store::inbox::settle(unit, user.id, &delivery.before.rows);
        }
        let row = NotificationRow {
            id: NotificationId::generate(&*self.toolkit.clock),
            user_id: user.id,
            event_id: draft.event.id,
            kind,
            workspace_id: Some(draft.workspace_id),
            project_id: draft.project_id,
            task_id: draft.task_id,
            change_key: draft.change_key.clone(),
            actor_id: draft.event.actor.user_id().filter(|actor| people.contains_key(actor)),
            content,
            created_at: self.toolkit.clock.now(),
            read_at: None,
        };
        store::inbox::insert(unit, &row, told, awaits_digest)?;
        if let Some(kind) = delivery.told.in_app {
            unit.emit(&NotificationCreated {
                notification_id: row.id,
                user_id: user.id,
                workspace_id: row.workspace_id,
                kind: kind.as_str().to_owned(),
            });
        }
        match (mail, daily) {
            (Some(_), Some(settings)) => digest::schedule(unit, settings, &user.time_zone, self.toolkit.clock.now()),
            (Some(kind), None) => self.schedule_mail(unit, draft, user, kind, &row.content),
            (None, _) => {}
        }
        Ok(())
    }

    pub(crate) fn may_mail(&self, user: &UserSummary) -> bool {
        !user.email.is_empty() && (user.email_verified || !self.config.email_requires_verified)
    }

    fn schedule_mail(&self, unit: &mut Unit, draft: &Draft<'_>, user: &UserSummary, kind: Kind, content: &Content) {
        let base = self.config.base_url();
        let link = link(base, draft.workspace_id, draft.task_id, content.comment_id);
        let text = model::mail(
            kind,
            content,
            &user.time_zone,
            &link,
            &format!("{base}/v1/notifications/preferences"),
        );
        // Replaces a mail of the same change that still waits: the later reason is the more specific one.
        let change = draft.change_key.clone().unwrap_or_else(|| draft.event.id.to_string());
        let key = format!("notification:{change}:{}", user.id);
        let mail = Mail {
            to: user.email.clone(),
            subject: text.subject,
            text: text.text,
            html: None,
            message_id: format!("{}.{}", draft.event.id, user.id),
        };
        unit.schedule(Due {
            key: Some(key),
            ..mail::due(&mail, self.toolkit.clock.now())
        });
    }
}

/// What a notification is about, in the API: the server has no pages for people of its own.
pub(crate) fn link(base: &str, workspace: WorkspaceId, task: Option<TaskId>, comment: Option<CommentId>) -> String {
    match (task, comment) {
        (_, Some(comment)) => format!("{base}/v1/comments/{comment}"),
        (Some(task), None) => format!("{base}/v1/tasks/{task}"),
        (None, None) => format!("{base}/v1/workspaces/{workspace}"),
    }
}
