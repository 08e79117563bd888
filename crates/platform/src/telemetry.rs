//! Logs and metrics.
//!
//! Logs go to standard error: for people on a terminal, JSON lines otherwise. What belongs to a request carries its
//! span ([`request_span`]) with `request_id`, `user` and `workspace`. Secrets, tokens and bodies are never logged.
//! Metrics are collected through the `metrics` macros and rendered for Prometheus by [`metrics_router`], which the
//! process serves on a listener of its own, not on the public one.

use std::fmt;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use kernel::Error;
use kernel::ids::{UserId, WorkspaceId};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing::span::Record;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::http::Problem;
use crate::lifecycle::Lifecycle;

/// Logs on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged: a level, or directives such as `info,tasks=debug`.
    pub level: String,
    /// `auto` is `pretty` on a terminal and `json` otherwise.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Auto,
        }
    }
}

impl LogConfig {
    pub fn validate(&self) -> Vec<String> {
        let error = EnvFilter::try_new(&self.level).err();
        error.map(|error| format!("log.level: {error}")).into_iter().collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Auto,
    Json,
    Pretty,
}

/// Prometheus metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Address of the listener for `GET /metrics`; absent: no listener. Keep it off the public network.
    pub listen: Option<SocketAddr>,
}

/// What a client does wrong is a warning to `rmcp`.
const TALKATIVE: [&str; 1] = ["rmcp"];

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// What takes spans and events besides the log, with a filter of its own.
pub type Extra = Box<dyn Layer<Registry> + Send + Sync>;

/// Sends logs to standard error and panics to the log. A second call in the same process changes nothing.
pub fn init_logs(config: &LogConfig, extras: Vec<Extra>) -> Result<(), TelemetryError> {
    let pretty = match config.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let filter = filter(&config.level)?;
    let log: Extra = if pretty {
        let ansi = std::io::stderr().is_terminal();
        let layer = tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_ansi(ansi)
            .with_writer(std::io::stderr);
        layer.boxed()
    } else {
        json_layer(std::io::stderr).boxed()
    };
    let registry = tracing_subscriber::registry();
    let installed = if extras.is_empty() {
        tracing::subscriber::set_global_default(registry.with(log).with(filter))
    } else {
        // Each layer has its own filter: a quiet log must not silence the others.
        let layers: Vec<Extra> = extras.into_iter().chain([log.with_filter(filter).boxed()]).collect();
        tracing::subscriber::set_global_default(registry.with(layers))
    };
    if installed.is_ok() {
        log_panics();
    }
    Ok(())
}

/// What `level` says, and less of libraries that tell of every request (some at `debug` with its content) unless it names them.
fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let quiet = TALKATIVE
        .iter()
        .filter(|name| !level.contains(*name))
        .map(|name| format!("{name}=error,"));
    let quiet: String = quiet.collect();
    EnvFilter::try_new(format!("{}={},{quiet}{level}", crate::trace::TARGET, LevelFilter::OFF))
}

fn json_layer<W>(writer: W) -> impl Layer<Registry> + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .fmt_fields(SpanFields(JsonFields::new()))
        .with_writer(writer)
}

/// The fields of a span as JSON, to which others are appended: the library's own way parses and writes all of them anew for each.
/// A field that is recorded twice is there twice, until a line is written, for which the last one counts.
#[derive(Debug)]
struct SpanFields(JsonFields);

impl<'a> FormatFields<'a> for SpanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(&self, current: &'a mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut added = String::new();
        self.0.format_fields(Writer::new(&mut added), fields)?;
        let Some(members) = added.strip_prefix('{').filter(|members| *members != "}") else {
            return Ok(());
        };
        let known = &mut current.fields;
        if known.len() > "{}".len() && known.ends_with('}') {
            known.pop();
            known.push(',');
            known.push_str(members);
        } else {
            *known = added;
        }
        Ok(())
    }
}

fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = crate::lifecycle::panic_text(panic.payload());
        tracing::error!(%location, message, "panic");
    }));
}

/// The span of one request. `user` and `workspace` are filled in by [`record_user`] and [`record_workspace`] once known.
pub fn request_span(request_id: &str, traceparent: &str, method: &str, route: &str) -> Span {
    tracing::info_span!(
        "request",
        request_id,
        traceparent,
        method,
        route,
        user = tracing::field::Empty,
        workspace = tracing::field::Empty
    )
}

/// Puts the signed-in person on every further log line of this request.
pub fn record_user(span: &Span, user: UserId) {
    span.record("user", tracing::field::display(user));
}

/// Puts the tenant on every further log line of this request.
pub fn record_workspace(span: &Span, workspace: WorkspaceId) {
    span.record("workspace", tracing::field::display(workspace));
}

type Sample = Box<dyn Fn() + Send + Sync>;

/// Everything the process counts. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The recorder behind the `metrics` macros is one per process by nature of that crate.
static METRICS: OnceLock<Metrics> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());

/// Seconds; from a cache hit to the request time-out.
const DURATION_BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// As often as observed durations are sorted into buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder, once per process; later calls return the same.
pub fn init_metrics() -> Result<Metrics, TelemetryError> {
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = METRICS.get() {
        return Ok(metrics.clone());
    }
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)?;
    let metrics = Metrics {
        handle: builder.install_recorder()?,
        samples: Arc::default(),
    };
    Ok(METRICS.get_or_init(|| metrics).clone())
}

impl Metrics {
    /// Runs before every rendering: for gauges that are cheaper read than kept, such as pool sizes.
    pub fn on_scrape(&self, sample: impl Fn() + Send + Sync + 'static) {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(sample));
    }

    /// Every observed duration stays in memory until it is sorted into its bucket, which scraping does. A process that nobody
    /// scrapes would grow with every request, so this is done in any case.
    pub fn keep_small(&self, lifecycle: &Lifecycle) {
        let (metrics, lifecycle_of_task) = (self.clone(), lifecycle.clone());
        lifecycle.spawn("metrics upkeep", async move {
            while lifecycle_of_task.sleep(UPKEEP).await {
                metrics.handle.run_upkeep();
            }
        });
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
        for sample in self.samples.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            sample();
        }
        self.handle.run_upkeep();
        self.handle.render()
    }
}

/// `GET /metrics`, for a listener of its own.
pub fn metrics_router(metrics: Metrics) -> Router {
    let render = move || async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()) };
    Router::new()
        .route("/metrics", get(render))
        .fallback(|| async { Problem(Error::not_found("request.route_unknown", "There is no such route.")) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use kernel::ids::{EntityId as _, Uuid};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn json_lines_carry_request_user_and_workspace() {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::registry()
            .with(json_layer(move || writer.clone()))
            .with(filter("info").expect("a filter"));
        tracing::subscriber::with_default(subscriber, || {
            let span = request_span("req-1", "00-1-2-01", "GET", "/v1/tasks");
            let _entered = span.enter();
            record_user(&span, UserId::from_uuid(Uuid::nil()));
            // A request may ask for several; the last one counts.
            record_workspace(&span, WorkspaceId::from_uuid(Uuid::max()));
            record_workspace(&span, WorkspaceId::from_uuid(Uuid::nil()));
            tracing::info!(status = 200, "done");
            tracing::debug!("below the level");
        });
        let text = String::from_utf8(sink.0.lock().expect("lock").clone()).expect("utf-8");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert_eq!(lines[0]["message"], "done");
        assert_eq!(lines[0]["status"], 200);
        assert_eq!(lines[0]["span"]["request_id"], "req-1");
        assert_eq!(lines[0]["span"]["user"], "00000000-0000-0000-0000-000000000000");
        assert_eq!(lines[0]["span"]["workspace"], "00000000-0000-0000-0000-000000000000");
    }

    #[test]
    fn metrics_are_rendered_with_samples_and_buckets() {
        let metrics = init_metrics().expect("installs");
        metrics.on_scrape(|| metrics::gauge!("test_pool_size").set(7.0));
        let again = init_metrics().expect("the same again");
        metrics::histogram!("test_wait_seconds", "route" => "/v1/tasks").record(0.02);
        let text = again.render();
        assert!(text.contains("test_pool_size 7"), "{text}");
        assert!(
            text.contains("test_wait_seconds_bucket{route=\"/v1/tasks\",le=\"0.025\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_level_is_a_config_problem() {
        let config = LogConfig {
            level: "info,tasks=loud".to_owned(),
            ..LogConfig::default()
        };
        assert_eq!(config.validate().len(), 1);
        assert!(LogConfig::default().validate().is_empty());
    }
}
