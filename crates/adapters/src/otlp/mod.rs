//! Traces for an OpenTelemetry collector: OTLP over HTTP, as protobuf.
//!
//! Spans wait in a bounded queue and leave in batches from a thread of their own; what does not fit is dropped, so a collector
//! that is slow or away costs bounded memory and no request any time. Nothing is read from the environment but through the
//! configuration, so the SDK's own `OTEL_…` variables have no say.

mod config;
mod exporter;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kernel::{Error, Result};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use platform::telemetry::Extra;
use tokio::runtime::Handle;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;

use crate::collector::{Collector, parse_headers};

pub use config::TracesConfig;
use exporter::Exporter;

/// How long a span waits at most before it leaves.
const DELAY: Duration = Duration::from_secs(2);
const BATCH: usize = 512;
/// For what is still in the queue when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The export of traces, until it is stopped.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// `None` when the configuration names no endpoint. Call it inside the runtime, which does the sending.
    pub fn start(config: &TracesConfig, version: &'static str, ca_file: Option<PathBuf>) -> Result<Option<(Self, Extra)>> {
        let Some(url) = config.url()? else { return Ok(None) };
        let headers = config.headers.as_ref().map(|text| parse_headers(text.expose())).transpose()?;
        let timeout = Duration::from_secs(config.timeout_seconds);
        let collector = Collector::new("traces", &url, headers.unwrap_or_default(), timeout, ca_file)?;
        let exporter = Exporter::new(Arc::new(collector), Handle::current());
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(config.queue)
            .with_max_export_batch_size(BATCH.min(config.queue))
            .with_scheduled_delay(DELAY)
            .build();
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", config.service_name.clone()),
                KeyValue::new("service.version", version),
                KeyValue::new("service.instance.id", instance()),
                KeyValue::new("telemetry.sdk.language", "rust"),
                KeyValue::new("telemetry.sdk.name", "opentelemetry"),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batch).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))))
            .with_resource(resource)
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("guildhall"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.target() == platform::trace::TARGET));
        Ok(Some((Self { provider }, layer.boxed())))
    }

    /// Sends what waits, within a few seconds.
    pub async fn stop(self) {
        let stopping = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LAST_WORDS));
        match stopping.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces were not taken"),
            Err(error) => tracing::warn!(%error, "the export of traces ended early"),
        }
    }
}

/// Tells replicas and restarts apart.
fn instance() -> String {
    let random: u128 = rand::random();
    format!("{random:032x}")
}

fn invalid(field: &'static str, detail: impl Into<String>) -> Error {
    Error::invalid_field(field, "invalid", detail.into())
}
