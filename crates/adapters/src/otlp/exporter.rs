//! Batches of spans as protobuf.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message as _;
use tokio::runtime::Handle;

use crate::collector::Collector;

#[derive(Debug)]
pub struct Exporter {
    collector: Arc<Collector>,
    /// The batches come from a thread outside the runtime.
    runtime: Handle,
    resource: ResourceAttributesWithSchema,
}

impl Exporter {
    pub fn new(collector: Arc<Collector>, runtime: Handle) -> Self {
        Self {
            collector,
            runtime,
            resource: ResourceAttributesWithSchema::default(),
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        let (collector, body) = (Arc::clone(&self.collector), request.encode_to_vec());
        // Bounded by the collector's time limit.
        let sending = self
            .runtime
            .spawn(async move { collector.post("application/x-protobuf", body.into()).await });
        match sending.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(OTelSdkError::InternalFailure(error.to_string())),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}
