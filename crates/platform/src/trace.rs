//! Spans of distributed traces (OpenTelemetry), beside those of the log.
//!
//! They have a target of their own: the log never shows them, a layer that exports them takes nothing else, and without such a
//! layer they cost next to nothing, because the log's filter switches their target off. Names and attributes follow the semantic
//! conventions of OpenTelemetry. No attribute holds a value that somebody sent: route templates, names of tables and types of
//! events, but no paths, queries, parameters or bodies.
//!
//! A trace goes on where work goes on: `traceparent` (W3C Trace Context) of a request, and of an event's envelope (CloudEvents
//! distributed tracing extension).

use std::fmt::Write as _;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::db::Engine;

/// Of every span of a trace.
pub const TARGET: &str = "guildhall_trace";
/// Of the names of statements in one unit.
const MAX_SUMMARY_CHARS: usize = 255;

/// A request at the edge. It goes on with the trace that `traceparent` names, else it begins one.
pub fn request(method: &str, route: &str, request_id: &str, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        "error.type" = Empty,
        guildhall.request_id = request_id,
    );
    follow(&span, traceparent);
    span
}

/// A request from inside the process; part of what is under way.
pub fn inner_request(method: &str, route: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "inner request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "internal",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        "error.type" = Empty,
    )
}

/// How a request was answered.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        fail(span, &status);
    }
}

/// One unit of work on its way to the database, until it is committed.
pub fn unit(service: &str, engine: Engine) -> Span {
    database(service, "unit", engine)
}

/// One SELECT.
pub fn read(service: &str, engine: Engine) -> Span {
    database(service, "read", engine)
}

/// Not outside of a trace: what looks for work every moment would drown everything else.
fn database(service: &str, what: &str, engine: Engine) -> Span {
    if !under_way() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        "database",
        otel.name = format_args!("{service} {what}"),
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = system(engine),
        db.namespace = service,
        db.query.summary = Empty,
        db.operation.batch.size = Empty,
        "error.type" = Empty,
    )
}

/// What the statements of a unit or a read do to which tables, in order and each once: `UPDATE tasks; INSERT outbox`.
pub fn statements<'a>(span: &Span, texts: impl ExactSizeIterator<Item = &'a str>) {
    if span.is_disabled() {
        return;
    }
    let count = texts.len();
    let mut parts: Vec<String> = Vec::new();
    for text in texts {
        let part = summary(text);
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let mut joined = parts.join("; ");
    if let Some((end, _)) = joined.char_indices().nth(MAX_SUMMARY_CHARS) {
        joined.truncate(end);
    }
    span.record("db.query.summary", joined.as_str());
    if count > 1 {
        span.record("db.operation.batch.size", count);
    }
}

/// A consumer at work on an event; part of the trace in which the event came about.
pub fn event(consumer: &str, event_type: &str, id: &impl std::fmt::Display, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "event",
        otel.name = format_args!("process {event_type}"),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "guildhall",
        "messaging.operation.type" = "process",
        messaging.destination.name = event_type,
        messaging.consumer.group.name = consumer,
        messaging.message.id = %id,
        "error.type" = Empty,
    );
    follow(&span, traceparent);
    span
}

/// One run of due work; a trace of its own.
pub fn due(kind: &str, request_id: &str, attempt: i32) -> Span {
    tracing::info_span!(
        target: TARGET,
        parent: None,
        "due",
        otel.name = format_args!("due {kind}"),
        otel.kind = "internal",
        otel.status_code = Empty,
        guildhall.due.kind = kind,
        guildhall.due.attempt = attempt,
        guildhall.request_id = request_id,
        "error.type" = Empty,
    )
}

/// Marks the span as failed, by a stable word for the reason.
pub fn fail(span: &Span, reason: &impl std::fmt::Display) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", tracing::field::display(reason));
}

/// The `traceparent` of what `span` brings about; `None` when it is not traced.
pub fn traceparent(span: &Span) -> Option<Arc<str>> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let active = context.span();
    let known = active.span_context();
    let sampled = known.trace_flags().to_u8();
    known
        .is_valid()
        .then(|| format!("00-{}-{}-{sampled:02x}", known.trace_id(), known.span_id()).into())
}

fn under_way() -> bool {
    opentelemetry::Context::map_current(TraceContextExt::has_active_span)
}

/// Before the span is entered for the first time.
fn follow(span: &Span, traceparent: Option<&str>) {
    let Some(remote) = traceparent.filter(|_| !span.is_disabled()).and_then(parse) else {
        return;
    };
    // Fails only without a layer that exports.
    let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote));
}

/// Version 00 of W3C Trace Context.
fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    (version == "00" && context.is_valid()).then_some(context)
}

/// The convention's names of database systems.
const fn system(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgresql",
        Engine::Mysql => "mysql",
    }
}

/// The first word and the table: the text of a statement has parameters as placeholders, but no need to be shown.
fn summary(text: &str) -> String {
    let mut words = text.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let table = match verb {
        "UPDATE" => words.next(),
        _ => words.find(|word| matches!(*word, "FROM" | "INTO")).and_then(|_| words.next()),
    };
    let mut summary = verb.to_owned();
    if let Some(table) = table {
        let name = table.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
        // Writing to a string cannot fail.
        let _ = write!(summary, " {}", name.rsplit(['.', '"', '`']).next().unwrap_or(name));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_named_by_verb_and_table() {
        for (text, wanted) in [
            (r#"SELECT "id", "title" FROM "tasks" WHERE "id" = $1 LIMIT $2"#, "SELECT tasks"),
            ("INSERT INTO `outbox` (`id`) VALUES (?)", "INSERT outbox"),
            (r#"UPDATE "tasks" SET "title" = ? WHERE "id" = ?"#, "UPDATE tasks"),
            (r#"DELETE FROM "labels" WHERE "id" = ?"#, "DELETE labels"),
            ("SELECT 1", "SELECT"),
            ("", ""),
        ] {
            assert_eq!(summary(text), wanted);
        }
    }

    #[test]
    fn only_a_whole_traceparent_is_followed() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = parse(good).expect("a context");
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        for bad in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-zzz7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn without_a_layer_there_is_nothing_to_pass_on() {
        let span = request("GET", "/v1/tasks", "r", None);
        assert_eq!(traceparent(&span), None);
    }
}
