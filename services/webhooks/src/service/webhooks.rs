//! Webhooks: make, list, change, delete, test.

use contracts::PublicEvent;
use contracts::audit::{Action, Entry, Log};
use contracts::webhooks::events;
use kernel::cursor::{Page, PageRequest};
use kernel::ids::{EntityId, EventId, ProjectId, WebhookId, WorkspaceId};
use kernel::{Error, FieldError, Result, Timestamp};
use platform::Caller;
use platform::db::{DbError, Reply, Unit};
use platform::http::{Field, IfMatch};

use super::OFFERED;
use super::views::{DeliveryView, WebhookView, WebhookWithSecretView};
use crate::WebhooksService;
use crate::error::{TOO_MANY, WebhooksError};
use crate::model::{Delivery, DeliveryId, DisabledReason, Message, SigningSecret, TEST_EVENT, Webhook, patterns};
use crate::service::dispatch;
use crate::store;

const MAX_DESCRIPTION_CHARS: usize = 500;

#[derive(Debug, Clone)]
pub(crate) struct CreateWebhook {
    pub url: String,
    pub description: Option<String>,
    pub event_types: Vec<String>,
    pub project_id: Option<ProjectId>,
    pub enabled: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateWebhook {
    pub url: Field<String>,
    pub description: Field<String>,
    pub event_types: Field<Vec<String>>,
    pub project_id: Field<ProjectId>,
    pub enabled: Field<bool>,
}

/// What others may know of the URL.
pub(crate) fn host(webhook: &Webhook) -> String {
    let url = url::Url::parse(&webhook.url).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

fn description(text: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let text = text.trim();
    if text.chars().count() > MAX_DESCRIPTION_CHARS {
        errors.push(FieldError::new(
            "/description",
            "too_long",
            format!("must have at most {MAX_DESCRIPTION_CHARS} characters"),
        ));
    }
    if text.chars().any(char::is_control) {
        errors.push(FieldError::new(
            "/description",
            "control_character",
            "must be one line without control characters",
        ));
    }
    (!text.is_empty()).then(|| text.to_owned())
}

impl WebhooksService {
    async fn check_url(&self, url: &str, errors: &mut Vec<FieldError>) {
        if let Err(refused) = self.egress.check(url).await {
            errors.push(FieldError::new("/url", refused.code(), refused.to_string()));
        }
    }

    async fn check_project(&self, caller: &Caller, workspace_id: WorkspaceId, id: ProjectId, errors: &mut Vec<FieldError>) -> Result<()> {
        if !self.sees_project(caller, workspace_id, id).await? {
            errors.push(FieldError::new(
                "/project_id",
                "not_found",
                "is no project of this workspace that you can see",
            ));
        }
        Ok(())
    }

    pub(crate) async fn list_webhooks(&self, caller: &Caller, workspace_id: WorkspaceId, page: PageRequest) -> Result<Page<WebhookView>> {
        self.authorize(caller, workspace_id).await?;
        let binding = format!("webhooks|{workspace_id}|{}", caller.user_id()?);
        let after = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let select = store::webhooks::page(workspace_id, after, page.rows());
        let rows = store::webhooks::list(&self.db, select).await?;
        let page = self.toolkit.cursors.page(rows, page.limit, &binding, |webhook| webhook.id)?;
        Ok(page.map(|webhook| WebhookView::new(&webhook, caller.now)))
    }

    pub(crate) async fn get_webhook(&self, caller: &Caller, workspace_id: WorkspaceId, id: WebhookId) -> Result<Reply<WebhookView>> {
        let (webhook, _) = self.webhook(caller, workspace_id, id).await?;
        Ok(Reply::ok(WebhookView::new(&webhook, caller.now), webhook.version))
    }

    /// The secret is in the answer and, sealed, in the row; never in the stored reply of an `Idempotency-Key`.
    pub(crate) async fn create_webhook(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        command: CreateWebhook,
    ) -> Result<Reply<WebhookWithSecretView>> {
        self.authorize(caller, workspace_id).await?;
        self.require_offered(caller, workspace_id).await?;
        let mut errors = Vec::new();
        let event_types = patterns(&command.event_types, &OFFERED, "/event_types", &mut errors);
        let description = command.description.as_deref().and_then(|text| description(text, &mut errors));
        if let Some(project_id) = command.project_id {
            self.check_project(caller, workspace_id, project_id, &mut errors).await?;
        }
        self.check_url(&command.url, &mut errors).await;
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        let (id, secret) = (WebhookId::generate(&*self.toolkit.clock), SigningSecret::random());
        let webhook = Webhook {
            id,
            workspace_id,
            project_id: command.project_id,
            url: command.url,
            description,
            event_types,
            enabled: command.enabled,
            disabled_reason: (!command.enabled).then_some(DisabledReason::Manual),
            disabled_at: (!command.enabled).then_some(caller.now),
            secret: self.seal(id, &secret)?,
            old_secret_expires_at: None,
            failing_since: None,
            last_success_at: None,
            paused_until: None,
            version: 1,
            created_by: caller.user_id()?,
            created_at: caller.now,
            updated_at: caller.now,
        };
        let mut unit = Unit::new(caller);
        let before = store::webhooks::take_turn(&mut unit, workspace_id, caller.now);
        store::webhooks::insert(&mut unit, &webhook);
        unit.emit(&events::WebhookCreated {
            workspace_id,
            webhook_id: id,
            host: host(&webhook),
            event_types: webhook.event_types.clone(),
        });
        unit.record(
            entry(&webhook, Action::WebhookCreated)
                .with("event_types", &webhook.event_types)
                .with("project_id", webhook.project_id)
                .with("enabled", webhook.enabled),
        );
        let stored = WebhookWithSecretView {
            webhook: WebhookView::new(&webhook, caller.now),
            secret: None,
        };
        let location = format!("/v1/workspaces/{workspace_id}/webhooks/{id}");
        let most = i64::from(self.config.max_per_workspace);
        let mut reply = self
            .db
            .apply_reply(unit, move |out| {
                if out.first(&before)? >= most {
                    return Err(DbError::Guard(TOO_MANY));
                }
                Ok(Reply::created(stored, 1, location))
            })
            .await?;
        reply.body.secret = Some(secret.shown());
        Ok(reply)
    }

    pub(crate) async fn update_webhook(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        id: WebhookId,
        if_match: &IfMatch,
        command: UpdateWebhook,
    ) -> Result<Reply<WebhookView>> {
        let (old, membership) = self.webhook(caller, workspace_id, id).await?;
        if_match.check_or_require(old.version, membership.strict_concurrency)?;
        let mut new = self.changed(caller, &old, command).await?;
        let (changed, entry) = (changed_fields(&old, &new), updated(&old, &new));
        if changed.is_empty() {
            let view = WebhookView::new(&old, caller.now);
            let unit = Unit::new(caller);
            return Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(view, old.version))).await?);
        }
        let unit = Self::change(caller, &mut new, changed, entry);
        self.answer_change(unit, &new, caller.now).await
    }

    async fn changed(&self, caller: &Caller, old: &Webhook, command: UpdateWebhook) -> Result<Webhook> {
        let mut new = old.clone();
        let mut errors = Vec::new();
        match command.event_types {
            Field::Absent => {}
            Field::Null => errors.push(FieldError::not_null("/event_types")),
            Field::Value(wanted) => new.event_types = patterns(&wanted, &OFFERED, "/event_types", &mut errors),
        }
        if let Some(text) = command.description.into_option() {
            new.description = text.and_then(|text| description(&text, &mut errors));
        }
        match command.project_id {
            Field::Absent => {}
            Field::Null => new.project_id = None,
            Field::Value(project_id) => {
                self.check_project(caller, old.workspace_id, project_id, &mut errors).await?;
                new.project_id = Some(project_id);
            }
        }
        match command.enabled {
            Field::Null => errors.push(FieldError::not_null("/enabled")),
            Field::Value(enabled) if enabled != old.enabled => {
                new.enabled = enabled;
                new.disabled_reason = (!enabled).then_some(DisabledReason::Manual);
                new.disabled_at = (!enabled).then_some(caller.now);
                // A fresh start: old failures must not switch it off again at once.
                new.failing_since = None;
                new.paused_until = None;
            }
            Field::Absent | Field::Value(_) => {}
        }
        match command.url {
            Field::Absent => {}
            Field::Null => errors.push(FieldError::not_null("/url")),
            Field::Value(url) => {
                self.check_url(&url, &mut errors).await;
                if url != old.url {
                    new.failing_since = None;
                    new.paused_until = None;
                }
                new.url = url;
            }
        }
        if errors.is_empty() { Ok(new) } else { Err(Error::invalid(errors)) }
    }

    /// What every change writes. `webhook` becomes what is stored.
    pub(super) fn change(caller: &Caller, webhook: &mut Webhook, changed: Vec<String>, entry: Entry) -> Unit {
        webhook.version += 1;
        webhook.updated_at = caller.now;
        let mut unit = Unit::new(caller);
        store::webhooks::update(&mut unit, webhook);
        if webhook.enabled {
            // The change may have ended a pause, for whose end the call to send waits. Nothing may be due: then it is soon over.
            unit.schedule(dispatch::due(webhook.id, caller.now));
        } else {
            store::deliveries::give_up_pending(&mut unit, webhook.id, dispatch::DISABLED);
        }
        unit.emit(&events::WebhookUpdated {
            workspace_id: webhook.workspace_id,
            webhook_id: webhook.id,
            host: host(webhook),
            changed,
        });
        unit.record(entry);
        unit
    }

    pub(super) async fn answer_change(&self, unit: Unit, webhook: &Webhook, now: Timestamp) -> Result<Reply<WebhookView>> {
        let (view, version) = (WebhookView::new(webhook, now), webhook.version);
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(view, version))).await?)
    }

    pub(crate) async fn delete_webhook(&self, caller: &Caller, workspace_id: WorkspaceId, id: WebhookId, if_match: &IfMatch) -> Result<()> {
        let (webhook, membership) = self.webhook(caller, workspace_id, id).await?;
        if_match.check_or_require(webhook.version, membership.strict_concurrency)?;
        let mut unit = Unit::new(caller);
        store::webhooks::delete(&mut unit, &webhook);
        unit.unschedule(dispatch::KIND, &id.to_string());
        unit.emit(&events::WebhookDeleted {
            workspace_id,
            webhook_id: id,
            host: host(&webhook),
        });
        unit.record(entry(&webhook, Action::WebhookDeleted));
        self.db.apply(unit).await?;
        Ok(())
    }

    /// Sends a message that tells of nothing but itself.
    pub(crate) async fn test_webhook(&self, caller: &Caller, workspace_id: WorkspaceId, id: WebhookId) -> Result<Reply<DeliveryView>> {
        let (webhook, _) = self.webhook(caller, workspace_id, id).await?;
        if !webhook.enabled {
            return Err(WebhooksError::Disabled.into());
        }
        let event = PublicEvent {
            specversion: "1.0".to_owned(),
            id: EventId::generate(&*self.toolkit.clock),
            source: "/services/webhooks".to_owned(),
            event_type: TEST_EVENT.to_owned(),
            subject: id.to_string(),
            time: caller.now,
            datacontenttype: "application/json".to_owned(),
            workspaceid: workspace_id,
            actorid: caller.actor.user_id(),
            data: serde_json::json!({ "webhook_id": id, "workspace_id": workspace_id }),
        };
        let message = Message {
            id: event.id,
            workspace_id,
            event_type: event.event_type.clone(),
            body: serde_json::to_string(&event).map_err(Error::internal)?,
            created_at: caller.now,
        };
        let delivery = Delivery::new(DeliveryId::generate(&*self.toolkit.clock), id, &message, caller.now);
        let mut unit = Unit::new(caller);
        store::deliveries::insert_message(&mut unit, &message);
        store::deliveries::insert(&mut unit, &delivery);
        unit.schedule(dispatch::due(id, caller.now));
        let location = format!("/v1/workspaces/{workspace_id}/webhooks/{id}/deliveries/{}", delivery.id);
        let view = DeliveryView::new(delivery, &webhook);
        Ok(self
            .db
            .apply_reply(unit, move |_| Ok(dispatch::accepted(view, Some(location))))
            .await?)
    }
}

/// Named by the host; the rest of a URL may hold a secret.
pub(crate) fn entry(webhook: &Webhook, action: Action) -> Entry {
    Entry::new(Log::Workspace(webhook.workspace_id), action, "webhook")
        .id(webhook.id)
        .name(host(webhook))
}

fn updated(old: &Webhook, new: &Webhook) -> Entry {
    let mut entry = entry(new, Action::WebhookUpdated)
        .change("description", &old.description, &new.description)
        .change("event_types", &old.event_types, &new.event_types)
        .change("project_id", old.project_id, new.project_id)
        .change("enabled", old.enabled, new.enabled);
    if old.url != new.url {
        entry = entry.changed("url").change("host", host(old), host(new));
    }
    entry
}

fn changed_fields(old: &Webhook, new: &Webhook) -> Vec<String> {
    let fields = [
        ("url", old.url != new.url),
        ("description", old.description != new.description),
        ("event_types", old.event_types != new.event_types),
        ("project_id", old.project_id != new.project_id),
        ("enabled", old.enabled != new.enabled),
    ];
    fields
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(name, _)| name.to_owned())
        .collect()
}
