//! What is done with the events of others. Three consumers, so that a peer that is away for the one does not
//! hold up the others.

mod erasure;
mod inbox;
mod log;

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
    ]
}

/// The payload, when the event is of this type.
fn find_payload<P: EventPayload>(event: &Envelope) -> Result<Option<P>> {
    event.payload::<P>().transpose().map_err(Error::internal)
}
