//! A receiver of telemetry that the operator names: it may be anywhere, inside too, and it may be away.
//!
//! Being away does no harm here: one request at a time per caller, bounded in time, and a growing rest after each failure in which
//! nothing is sent at all. The log says once that it is away, and once that it is back.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use kernel::{Error, Result};
use platform::egress::{Egress, EgressRequest};
use tokio::time::Instant;

use crate::egress::{EgressClient, EgressConfig};

const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The longest that a receiver may ask for.
const LONGEST_ASKED_REST: Duration = Duration::from_secs(600);
const MAX_RESPONSE_BYTES: usize = 16 * 1024;

/// Why something was not taken. What was to be sent is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error("it rests after a failure")]
    Resting,
    #[error("{0}")]
    Failed(String),
}

/// How the receiver has been.
#[derive(Debug, Default)]
struct Health {
    /// In a row.
    failures: u32,
    rest_until: Option<Instant>,
}

/// See the [module](self).
pub struct Collector {
    name: &'static str,
    client: EgressClient,
    url: String,
    headers: HeaderMap,
    timeout: Duration,
    health: Mutex<Health>,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector {
    /// `ca_file`: as in `[egress]`. Unlike addresses that users name, that of an operator may lead anywhere.
    pub fn new(name: &'static str, url: &url::Url, headers: HeaderMap, timeout: Duration, ca_file: Option<PathBuf>) -> Result<Self> {
        let everywhere = ["0.0.0.0/0", "::/0"].map(str::parse);
        let config = EgressConfig {
            allow: everywhere.into_iter().flatten().collect(),
            allow_http: true,
            ports: url.port_or_known_default().into_iter().collect(),
            ca_file,
            ..EgressConfig::default()
        };
        Ok(Self {
            name,
            client: EgressClient::new(&config)?,
            url: url.to_string(),
            headers,
            timeout,
            health: Mutex::default(),
        })
    }

    /// Sends, or says why not.
    pub async fn post(&self, content_type: &'static str, body: Bytes) -> Result<(), NotTaken> {
        if self.is_resting() {
            self.count("resting");
            return Err(NotTaken::Resting);
        }
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let request = EgressRequest {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body,
            timeout: self.timeout,
            max_response_bytes: MAX_RESPONSE_BYTES,
        };
        let (reason, asked) = match self.client.send(request).await {
            Ok(answer) if answer.status.is_success() => {
                self.taken();
                return Ok(());
            }
            Ok(answer) => {
                let asked = answer
                    .headers
                    .get(header::RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.parse().ok());
                (format!("it answered {}", answer.status), asked.map(Duration::from_secs))
            }
            Err(error) => (format!("its address {error}"), None),
        };
        self.failed(&reason, asked);
        Err(NotTaken::Failed(reason))
    }

    /// Nothing is sent at present.
    pub fn is_resting(&self) -> bool {
        self.health().rest_until.is_some_and(|until| Instant::now() < until)
    }

    fn taken(&self) {
        self.count("sent");
        let before = std::mem::take(&mut *self.health());
        if before.failures > 0 {
            tracing::info!(receiver = self.name, failures = before.failures, "telemetry is taken again");
        }
    }

    fn failed(&self, reason: &str, asked: Option<Duration>) {
        self.count("failed");
        let mut health = self.health();
        health.failures += 1;
        let grown = FIRST_REST.saturating_mul(1 << (health.failures - 1).min(16)).min(LONGEST_REST);
        let rest = grown.max(asked.unwrap_or_default().min(LONGEST_ASKED_REST));
        health.rest_until = Some(Instant::now() + rest);
        if health.failures == 1 {
            tracing::warn!(
                receiver = self.name,
                reason,
                "telemetry is not taken and is lost until it is; trying again now and then"
            );
        }
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, outcome: &'static str) {
        metrics::counter!("telemetry_exports_total", "receiver" => self.name, "outcome" => outcome).increment(1);
    }
}

/// `name=value,name=value`, as OpenTelemetry writes headers; values percent-encoded where they hold a comma.
pub fn parse_headers(text: &str) -> Result<HeaderMap> {
    let wrong = || Error::invalid_field("headers", "invalid", "is not name=value,name=value");
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        // The same encoding as in a query, except that `+` is itself.
        let query = format!("v={}", value.trim().replace('+', "%2B").replace('&', "%26"));
        let value = url::form_urlencoded::parse(query.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .ok_or_else(wrong)?;
        let name: http::HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value: HeaderValue = value.parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them() {
        let headers = parse_headers("authorization=Bearer%20a%2Cb+c, x-tenant=1 ,").expect("headers");
        assert_eq!(headers["authorization"], "Bearer a,b+c");
        assert_eq!(headers["x-tenant"], "1");
        assert!(!format!("{headers:?}").contains("Bearer"), "printed by accident");
        assert!(parse_headers("").expect("none").is_empty());
        for wrong in ["a", "=b", "a b=c", "a=%0A"] {
            assert!(parse_headers(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_is_away_is_left_alone_for_longer_and_longer() {
        // Nothing listens there.
        let url = "http://127.0.0.1:1/v1/traces".parse().expect("a URL");
        let collector = Collector::new("test", &url, HeaderMap::new(), Duration::from_secs(1), None).expect("a client");
        for rest in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(matches!(collector.post("text/plain", Bytes::new()).await, Err(NotTaken::Failed(_))));
            assert_eq!(collector.post("text/plain", Bytes::new()).await, Err(NotTaken::Resting));
            tokio::time::advance(Duration::from_millis(rest * 1_000 - 1)).await;
            assert!(collector.is_resting(), "{rest} s");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(!collector.is_resting(), "{rest} s");
        }
    }
}
