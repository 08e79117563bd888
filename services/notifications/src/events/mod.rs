//! What is done with the events of others. Several consumers, so that a peer that is away for the one does not
//! hold up the others.

mod erasure;
mod inbox;
mod log;
mod people;

use std::sync::Arc;

use contracts::{Envelope, EventPayload};
use kernel::{Error, Result};
use platform::events::Consumer;

use crate::NotificationsService;

pub(crate) fn consumers(service: &Arc<NotificationsService>) -> Vec<Arc<dyn Consumer>> {
    vec![
        Arc::new(log::EventLogConsumer(Arc::clone(service))),
        Arc::new(inbox::InboxConsumer(Arc::clone(service))),
        Arc::new(erasure::ErasureConsumer(Arc::clone(service))),
        Arc::new(people::ProfileConsumer(Arc::clone(service))),
    ]
}

/// The payload, when the event is of this type.
fn find_payload<P: EventPayload>(event: &Envelope) -> Result<Option<P>> {
    event.payload::<P>().transpose().map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use contracts::catalog::EVENTS;
    use platform::Service;

    /// What is streamed is what the catalog (and so the AsyncAPI document) promises.
    #[tokio::test]
    async fn the_log_takes_exactly_the_public_events() {
        let world = crate::tests::World::new().await;
        let consumers = world.service.clone().consumers();
        let log = consumers
            .iter()
            .find(|consumer| consumer.name() == "notifications.event_log")
            .expect("the log");
        let streamed: BTreeSet<&str> = log.event_types().iter().copied().collect();
        let promised: BTreeSet<&str> = EVENTS
            .iter()
            .filter(|event| event.public_type.is_some())
            .map(|event| event.event_type)
            .collect();
        assert_eq!(streamed, promised);
    }
}
