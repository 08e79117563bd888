//! Errors of the log as reports.

use std::collections::BTreeMap;
use std::fmt;

use kernel::{Clock as _, SystemClock};
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::report::{Report, masked};

/// Fields of errors and spans that may leave; none holds what somebody sent.
const TOLD: [&str; 14] = [
    "attempt",
    "attempts",
    "code",
    "consumer",
    "event_type",
    "item",
    "kind",
    "location",
    "method",
    "request_id",
    "route",
    "service",
    "sweep",
    "task",
];

/// Puts errors into the queue.
pub(super) struct Errors(pub mpsc::Sender<Report>);

/// What a span tells of the errors in it.
struct Told(BTreeMap<&'static str, String>);

#[derive(Default)]
struct Reader {
    messages: Vec<String>,
    told: BTreeMap<&'static str, String>,
}

impl Visit for Reader {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), format!("{value:?}"));
    }
}

impl Reader {
    fn take(&mut self, name: &'static str, value: String) {
        if name == "message" {
            self.messages.push(masked(&value));
        } else if TOLD.contains(&name) {
            self.told.insert(name, masked(&value));
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Errors {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut reader = Reader::default();
        attributes.record(&mut reader);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Told(reader.told));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut reader = Reader::default();
        event.record(&mut reader);
        let mut told = BTreeMap::new();
        // From the outermost, so that the nearest has the last word.
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(of_span) = span.extensions().get::<Told>() {
                told.extend(of_span.0.iter().map(|(name, value)| (*name, value.clone())));
            }
        }
        told.extend(reader.told);
        let report = Report {
            at: SystemClock.now(),
            messages: reader.messages,
            logger: event.metadata().target(),
            told,
        };
        if self.0.try_send(report).is_err() {
            metrics::counter!("telemetry_exports_total", "receiver" => "sentry", "outcome" => "dropped").increment(1);
        }
    }
}
