//! What is done with the events of others.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use contracts::catalog::EVENTS;
use contracts::workspaces::events::{ProjectPurged, WorkspacePurged};
use contracts::{Envelope, EventPayload};
use kernel::{Error, Result};
use platform::db::{Db, Unit};
use platform::events::Consumer;

use crate::WebhooksService;
use crate::model::DisabledReason;
use crate::service::OFFERED;
use crate::service::sending::disable_webhook;
use crate::store;

pub(crate) fn consumers(service: &Arc<WebhooksService>) -> Vec<Arc<dyn Consumer>> {
    vec![
        Arc::new(DeliveryConsumer(Arc::clone(service))),
        Arc::new(ErasureConsumer(Arc::clone(service))),
    ]
}

/// What a webhook can want, by the names that services use.
static WANTED: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    EVENTS
        .iter()
        .filter(|event| event.public_type.is_some_and(|name| OFFERED.contains(&name)))
        .map(|event| event.event_type)
        .collect()
});

/// Makes the deliveries of an event.
struct DeliveryConsumer(Arc<WebhooksService>);

#[async_trait]
impl Consumer for DeliveryConsumer {
    fn name(&self) -> &'static str {
        "webhooks.deliveries"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &WANTED
    }
    fn db(&self) -> &Db {
        &self.0.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        self.0.take_event(event, unit).await
    }
}

/// Erases what belonged to workspaces that are gone, and stops what waited for projects that are.
struct ErasureConsumer(Arc<WebhooksService>);

fn find_payload<P: EventPayload>(event: &Envelope) -> Result<Option<P>> {
    event.payload::<P>().transpose().map_err(Error::internal)
}

#[async_trait]
impl Consumer for ErasureConsumer {
    fn name(&self) -> &'static str {
        "webhooks.erasure"
    }
    fn event_types(&self) -> &'static [&'static str] {
        &[WorkspacePurged::TYPE, ProjectPurged::TYPE]
    }
    fn db(&self) -> &Db {
        &self.0.db
    }
    async fn handle(&self, event: &Envelope, unit: &mut Unit) -> Result<()> {
        if let Some(purged) = find_payload::<WorkspacePurged>(event)? {
            store::webhooks::erase_workspace(unit, purged.workspace_id);
            store::deliveries::erase_workspace(unit, purged.workspace_id);
        }
        if let Some(purged) = find_payload::<ProjectPurged>(event)? {
            let select = store::webhooks::of_project(purged.workspace_id, purged.project_id);
            let now = self.0.toolkit.clock.now();
            for webhook in store::webhooks::list(&self.0.db, select).await? {
                disable_webhook(unit, &webhook, DisabledReason::ProjectDeleted, now);
            }
        }
        Ok(())
    }
}
