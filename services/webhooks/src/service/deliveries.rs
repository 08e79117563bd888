//! The log of deliveries: list, read, replay.

use kernel::cursor::{Page, PageRequest};
use kernel::ids::{WebhookId, WorkspaceId};
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::db::{Reply, Unit};

use super::dispatch;
use super::views::{AttemptView, DeliveryDetailView, DeliveryView, ReplayView};
use crate::WebhooksService;
use crate::error::WebhooksError;
use crate::model::{Delivery, DeliveryId, DeliveryState, DueDelivery, Webhook};
use crate::store::deliveries::{self as store, Filter};

/// Attempts shown of one delivery.
const SHOWN_ATTEMPTS: u64 = 50;
/// Deliveries of one replay.
const REPLAY_LIMIT: u64 = 500;

impl WebhooksService {
    pub(crate) async fn list_deliveries(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        webhook_id: WebhookId,
        filter: Filter,
        page: PageRequest,
    ) -> Result<Page<DeliveryView>> {
        let (webhook, _) = self.webhook(caller, workspace_id, webhook_id).await?;
        let binding = format!(
            "webhook-deliveries|{webhook_id}|{}|{}|{}|{}",
            filter.state.map_or("", DeliveryState::as_str),
            filter.event_type.as_deref().unwrap_or_default(),
            filter.since.map_or(0, Timestamp::as_micros),
            caller.user_id()?
        );
        let before: Option<(i64, DeliveryId)> = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let rows = store::list(&self.db, store::page(webhook_id, &filter, before, page.rows())).await?;
        let page = self
            .toolkit
            .cursors
            .page(rows, page.limit, &binding, |row| (row.created_at.as_micros(), row.id))?;
        Ok(page.map(|delivery| DeliveryView::new(delivery, &webhook)))
    }

    async fn delivery(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        webhook_id: WebhookId,
        id: DeliveryId,
    ) -> Result<(Webhook, DueDelivery)> {
        let (webhook, _) = self.webhook(caller, workspace_id, webhook_id).await?;
        let found = store::find(&self.db, webhook_id, id)
            .await?
            .ok_or(WebhooksError::DeliveryNotFound)?;
        Ok((webhook, found))
    }

    pub(crate) async fn get_delivery(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        webhook_id: WebhookId,
        id: DeliveryId,
    ) -> Result<DeliveryDetailView> {
        let (webhook, found) = self.delivery(caller, workspace_id, webhook_id, id).await?;
        let attempts = store::list_attempts(&self.db, id, SHOWN_ATTEMPTS).await?;
        Ok(DeliveryDetailView {
            payload: serde_json::from_str(&found.body).map_err(Error::internal)?,
            delivery: DeliveryView::new(found.delivery, &webhook),
            attempt_log: attempts.into_iter().map(AttemptView::from).collect(),
        })
    }

    /// Sends it again, from the start of the schedule and whatever became of it, with the same `webhook-id`.
    pub(crate) async fn replay_delivery(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        webhook_id: WebhookId,
        id: DeliveryId,
    ) -> Result<Reply<DeliveryView>> {
        let (webhook, found) = self.delivery(caller, workspace_id, webhook_id, id).await?;
        if !webhook.enabled {
            return Err(WebhooksError::Disabled.into());
        }
        let mut unit = Unit::new(caller);
        store::replay(&mut unit, id, caller.now);
        unit.schedule(dispatch::due(webhook_id, caller.now));
        let restarted = Delivery {
            state: DeliveryState::Pending,
            next_attempt_at: Some(caller.now),
            ..found.delivery
        };
        let view = DeliveryView::new(restarted, &webhook);
        Ok(self.db.apply_reply(unit, move |_| Ok(dispatch::accepted(view, None))).await?)
    }

    /// Sends again what failed and was made in `[since, until)`, the oldest first.
    pub(crate) async fn replay_failed(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        webhook_id: WebhookId,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Reply<ReplayView>> {
        let (webhook, _) = self.webhook(caller, workspace_id, webhook_id).await?;
        if !webhook.enabled {
            return Err(WebhooksError::Disabled.into());
        }
        let until = until.unwrap_or(Timestamp::from_micros(i64::MAX));
        let mut rows = store::list(&self.db, store::failed_between(webhook_id, since, until, REPLAY_LIMIT + 1)).await?;
        let more = rows.len() as u64 > REPLAY_LIMIT;
        rows.truncate(usize::try_from(REPLAY_LIMIT).unwrap_or(usize::MAX));
        let ids: Vec<DeliveryId> = rows.into_iter().map(|row| row.id).collect();
        let mut unit = Unit::new(caller);
        if !ids.is_empty() {
            store::replay_failed(&mut unit, &ids, caller.now);
            unit.schedule(dispatch::due(webhook_id, caller.now));
        }
        let view = ReplayView {
            replayed: ids.len() as u64,
            more,
        };
        Ok(self.db.apply_reply(unit, move |_| Ok(dispatch::accepted(view, None))).await?)
    }
}
