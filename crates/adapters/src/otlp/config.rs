//! The `[traces]` section.

use kernel::Result;
use platform::config::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::invalid;
use crate::collector::parse_headers;

/// Distributed traces for an OpenTelemetry collector.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TracesConfig {
    /// URL of a collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is added where no path is
    /// given. Absent: no traces.
    pub endpoint: Option<String>,
    /// Headers for the collector, `name=value,name=value`, percent-encoded; a key of a service, for example.
    pub headers: Option<Secret>,
    /// Share of the traces begun here that are recorded, 0 to 1. A request that says whether it is recorded decides for itself.
    pub sample_ratio: f64,
    /// `service.name` of every span.
    pub service_name: String,
    /// Spans that wait to be sent; more are dropped. About 2 KiB each.
    pub queue: usize,
    /// Longest time for one batch, seconds.
    pub timeout_seconds: u64,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: None,
            sample_ratio: 1.0,
            service_name: "guildhall".into(),
            queue: 4_096,
            timeout_seconds: 10,
        }
    }
}

impl TracesConfig {
    /// Everything that is wrong with the section, each as one sentence.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.url().is_err() {
            problems.push(
                "traces.endpoint: is no http(s) URL without a user, such as http://127.0.0.1:4318; credentials belong in traces.headers"
                    .to_owned(),
            );
        }
        if self.headers.as_ref().is_some_and(|text| parse_headers(text.expose()).is_err()) {
            problems.push("traces.headers: is not name=value,name=value".to_owned());
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            problems.push("traces.sample_ratio: must lie between 0 and 1".to_owned());
        }
        if self.service_name.trim().is_empty() {
            problems.push("traces.service_name: must not be empty".to_owned());
        }
        if !(1..=1_000_000).contains(&self.queue) {
            problems.push("traces.queue: must lie between 1 and 1000000".to_owned());
        }
        if !(1..=60).contains(&self.timeout_seconds) {
            problems.push("traces.timeout_seconds: must lie between 1 and 60".to_owned());
        }
        problems
    }

    /// Where batches go.
    pub(super) fn url(&self) -> Result<Option<Url>> {
        let Some(text) = &self.endpoint else { return Ok(None) };
        let mut url = Url::parse(text).map_err(|error| invalid("traces.endpoint", error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid("traces.endpoint", "is no http(s) URL"));
        }
        // The endpoint is shown, the headers are not.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("traces.endpoint", "names a user"));
        }
        if url.path() == "/" {
            url.set_path("/v1/traces");
        }
        Ok(Some(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_and_what_is_wrong_is_told() {
        let config = |endpoint: &str| TracesConfig {
            endpoint: Some(endpoint.to_owned()),
            ..TracesConfig::default()
        };
        let url = |endpoint: &str| config(endpoint).url().expect("a URL").expect("set").to_string();
        assert_eq!(url("http://127.0.0.1:4318"), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url("https://otel.example.com/in/"), "https://otel.example.com/in/");
        assert!(TracesConfig::default().validate().is_empty());
        let wrong = TracesConfig {
            headers: Some(Secret::new("nothing")),
            sample_ratio: f64::NAN,
            service_name: " ".into(),
            queue: 0,
            timeout_seconds: 0,
            ..config("localhost:4318")
        };
        assert_eq!(wrong.validate().len(), 6, "{:?}", wrong.validate());
        assert_eq!(config("http://ada:secret@127.0.0.1:4318").validate().len(), 1);
    }
}
