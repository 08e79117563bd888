//! Failures of our own, reported to Sentry (or anything that speaks its envelope protocol,
//! <https://develop.sentry.dev/sdk/data-model/envelopes/>).
//!
//! What the log shows as an error is reported: answers 500, panics, events and due work that are given up, tasks that fail. A report
//! tells what happened, where in the code and on which route, the request id and the release. It tells nothing that somebody sent:
//! no path, query, header, body or address, no user, and no cause, for a database's words quote values; the log has those, under
//! the same request id.

mod config;
mod layer;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use kernel::{Error, Result};
use platform::lifecycle::Lifecycle;
use platform::telemetry::Extra;
use tokio::sync::mpsc;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;

use crate::collector::Collector;

use config::Dsn;
pub use config::SentryConfig;
use layer::Errors;
use report::Report;

/// Reports that wait; more are dropped.
const QUEUE: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(5);
const CLIENT: &str = concat!("guildhall/", env!("CARGO_PKG_VERSION"));

/// Takes reports from the layer and sends them.
pub struct Reporter {
    collector: Arc<Collector>,
    reports: mpsc::Receiver<Report>,
    frame: report::Frame,
}

impl Reporter {
    /// `None` when the configuration names no DSN.
    pub fn start(config: &SentryConfig, version: &str, ca_file: Option<PathBuf>) -> Result<Option<(Self, Extra)>> {
        let Some(text) = &config.dsn else { return Ok(None) };
        let dsn = Dsn::parse(text.expose()).ok_or_else(|| Error::invalid_field("sentry.dsn", "invalid", "is no DSN"))?;
        let auth = format!("Sentry sentry_version=7, sentry_client={CLIENT}, sentry_key={}", dsn.key);
        let mut auth = HeaderValue::from_str(&auth).map_err(Error::internal)?;
        auth.set_sensitive(true);
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-sentry-auth"), auth)]);
        let collector = Collector::new("sentry", &dsn.url, headers, TIMEOUT, ca_file)?;
        let (sender, reports) = mpsc::channel(QUEUE);
        let wanted = filter_fn(|metadata| {
            let ours = metadata.is_span() && metadata.target().starts_with("platform");
            ours || *metadata.level() == tracing::Level::ERROR
        });
        let reporter = Self {
            collector: Arc::new(collector),
            reports,
            frame: report::Frame {
                release: format!("guildhall@{version}"),
                environment: config.environment.clone(),
            },
        };
        Ok(Some((reporter, Errors(sender).with_filter(wanted).boxed())))
    }

    /// Sends until the process stops, and then what still waits.
    pub fn spawn(mut self, lifecycle: &Lifecycle) {
        let stopping = lifecycle.stopping();
        lifecycle.spawn("sentry", async move {
            while let Some(Some(report)) = stopping.run_until_cancelled(self.reports.recv()).await {
                self.send(report).await;
            }
            while let Ok(report) = self.reports.try_recv() {
                if self.collector.is_resting() {
                    return;
                }
                self.send(report).await;
            }
        });
    }

    async fn send(&self, report: Report) {
        let body = report.envelope(&self.frame);
        // The collector has said in the log what there is to say.
        let _ = self.collector.post("application/x-sentry-envelope", body.into()).await;
    }
}
