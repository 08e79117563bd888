//! From an event to rows: one message, a delivery per webhook that wants it, and a call to send.

use contracts::{Envelope, PublicEvent};
use kernel::ids::{EntityId, ProjectId, WebhookId};
use kernel::{Error, Result, Timestamp};
use platform::db::{Reply, Unit};
use platform::due::Due;
use serde::{Deserialize, Serialize};

use crate::WebhooksService;
use crate::config::MAX_PER_WORKSPACE;
use crate::model::{Delivery, DeliveryId, Message};
use crate::store;

/// [`Due::kind`] of "send what is due to this webhook": one item per webhook, so that one runner at a time serves it.
pub(crate) const KIND: &str = "webhooks.send";
/// [`Delivery::last_error`] of what was given up because its webhook was switched off.
pub(crate) const DISABLED: &str = "webhook_disabled";

/// Payload of the due work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub webhook_id: WebhookId,
}

pub(crate) fn due(webhook_id: WebhookId, run_at: Timestamp) -> Due {
    Due {
        kind: KIND,
        key: Some(webhook_id.to_string()),
        // An id always serialises.
        payload: serde_json::to_value(Call { webhook_id }).unwrap_or_default(),
        run_at,
    }
}

/// 202: sent as soon as possible.
pub(crate) const fn accepted<T>(body: T, location: Option<String>) -> Reply<T> {
    Reply {
        status: 202,
        location,
        version: None,
        body,
    }
}

impl WebhooksService {
    /// Reads who wants the event and writes into the consumer's unit, next to its inbox row: delivered twice, the event
    /// makes no second row.
    pub(crate) async fn take_event(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        let Some(public) = PublicEvent::of(event) else {
            return Ok(());
        };
        // All of them: a limit that was lowered since keeps new ones away and starves none of those that are there.
        let select = store::webhooks::enabled(public.workspaceid, MAX_PER_WORKSPACE.into());
        let webhooks = store::webhooks::list(&self.db, select).await?;
        let project_id = project_of(event);
        let now = self.toolkit.clock.now();
        let mut wanted = webhooks
            .iter()
            .filter(|webhook| webhook.wants(&public.event_type, project_id))
            .peekable();
        if wanted.peek().is_none() {
            return Ok(());
        }
        let message = Message {
            id: public.id,
            workspace_id: public.workspaceid,
            body: serde_json::to_string(&public).map_err(Error::internal)?,
            event_type: public.event_type.clone(),
            created_at: now,
        };
        store::deliveries::insert_message(unit, &message);
        // In the order of their ids, as all units do, so that units wait for each other's rows and do not deadlock.
        for webhook in wanted {
            let delivery = Delivery::new(DeliveryId::generate(&*self.toolkit.clock), webhook.id, &message, now);
            store::deliveries::insert(unit, &delivery);
            unit.schedule(due(webhook.id, now));
        }
        Ok(())
    }
}

/// The project that the event is about.
fn project_of(event: &Envelope) -> Option<ProjectId> {
    let text = event.data.get("project_id")?.as_str()?;
    kernel::ids::parse_uuid(text).ok().map(ProjectId::from_uuid)
}
