//! One event to one consumer: the inbox row and the consumer's writes in one unit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use contracts::Envelope;
use futures_util::FutureExt;
use kernel::time::SharedClock;
use kernel::{Error, ErrorKind, Result};
use tracing::Instrument;

use super::{Consumer, store};
use crate::context::Caller;
use crate::db::Unit;
use crate::lifecycle::panic_text;
use crate::trace;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Handled,
    /// It had been handled before.
    Duplicate,
}

pub(super) async fn deliver(consumer: &dyn Consumer, event: &Envelope, clock: &SharedClock, timeout: Duration) -> Result<Outcome> {
    let request_id = event.requestid.clone().unwrap_or_else(|| event.id.to_string());
    let span = tracing::info_span!("event", request_id, consumer = consumer.name(), event_type = event.event_type, event = %event.id, workspace = tracing::field::Empty);
    if let Some(workspace) = event.workspaceid {
        span.record("workspace", tracing::field::display(workspace));
    }
    let mut caller = Caller::system(&**clock, request_id);
    let trace = trace::event(consumer.name(), &event.event_type, &event.id, event.traceparent.as_deref());
    caller.traceparent = trace::traceparent(&trace).or_else(|| event.traceparent.as_deref().map(Arc::from));
    async {
        let started = tokio::time::Instant::now();
        let outcome = attempt(consumer, event, &caller, timeout).await;
        metrics::histogram!("event_delivery_seconds", "consumer" => consumer.name()).record(started.elapsed().as_secs_f64());
        if let Err(error) = &outcome {
            trace::fail(&trace, &error.code);
        }
        outcome
    }
    .instrument(span)
    .instrument(trace.clone())
    .await
}

async fn attempt(consumer: &dyn Consumer, event: &Envelope, caller: &Caller, timeout: Duration) -> Result<Outcome> {
    let work = AssertUnwindSafe(handle_and_apply(consumer, event, caller)).catch_unwind();
    let error = match tokio::time::timeout(timeout, work).await {
        Ok(Ok(Ok(()))) => return Ok(Outcome::Handled),
        Ok(Ok(Err(error))) => error,
        Ok(Err(panic)) => Error::internal(format!("panicked: {}", panic_text(panic.as_ref()))),
        Err(_) => Error::new(ErrorKind::Timeout, "event.timeout", "The consumer did not finish in time."),
    };
    // A repeated event may fail in many ways before it meets its inbox row (the state has moved on), so the row decides.
    if store::was_handled(consumer.db(), consumer.name(), event.id).await? {
        return Ok(Outcome::Duplicate);
    }
    Err(error)
}

async fn handle_and_apply(consumer: &dyn Consumer, event: &Envelope, caller: &Caller) -> Result<()> {
    let mut unit = Unit::new(caller);
    // First, so that a repeat fails here and not at a guard.
    unit.insert(store::insert_inbox(consumer.name(), event.id, caller.now));
    consumer.handle(event, &mut unit).await?;
    consumer.db().apply(unit).await?;
    Ok(())
}
