//! The `[http]` section.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Limits, proxies and CORS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// Longest time a request may take, seconds. Live streams are exempt.
    pub timeout_seconds: u64,
    /// Longest time for a request body to arrive, seconds.
    pub body_timeout_seconds: u64,
    /// Requests worked on at the same time.
    pub max_in_flight: usize,
    /// Requests that may wait for a place; more are answered 503.
    pub max_queued: usize,
    /// Longest wait for a place, milliseconds.
    pub queue_timeout_ms: u64,
    /// Open connections.
    pub max_connections: usize,
    /// Longest time to send the request headers, seconds.
    pub header_timeout_seconds: u64,
    /// How long connections are still taken after a stop was asked for, milliseconds. Meanwhile `/readyz` says no, so that a
    /// balancer sends nothing more.
    pub shutdown_delay_ms: u64,
    /// Addresses of reverse proxies whose `X-Forwarded-For` is believed, as CIDR blocks.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// Web origins that may call the API from a browser, such as `https://app.example.com`.
    pub cors_origins: Vec<String>,
    /// Request rates.
    pub rate_limits: RateLimitConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            timeout_seconds: 30,
            body_timeout_seconds: 20,
            max_in_flight: 512,
            max_queued: 512,
            queue_timeout_ms: 1_000,
            max_connections: 10_000,
            header_timeout_seconds: 15,
            shutdown_delay_ms: 1_000,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            rate_limits: RateLimitConfig::default(),
        }
    }
}

/// Requests per minute of each policy, unless something else is written.
const ANONYMOUS: u32 = 120;
const AUTH: u32 = 30;
const USER: u32 = 600;
const API_KEY: u32 = 600;

/// Request rates (GCRA) per policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    pub enabled: bool,
    /// Per address, without a valid token.
    #[serde(deserialize_with = "rate::<_, ANONYMOUS>")]
    pub anonymous: Rate,
    /// Per address, on the routes under `/v1/auth` that take credentials.
    #[serde(deserialize_with = "rate::<_, AUTH>")]
    pub auth: Rate,
    /// Per person.
    #[serde(deserialize_with = "rate::<_, USER>")]
    pub user: Rate,
    /// Per API key.
    #[serde(deserialize_with = "rate::<_, API_KEY>")]
    pub api_key: Rate,
    /// How many requests a full-text search (`q=`) counts as.
    pub search_cost: u32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            anonymous: Rate::per_minute(ANONYMOUS),
            auth: Rate::per_minute(AUTH),
            user: Rate::per_minute(USER),
            api_key: Rate::per_minute(API_KEY),
            search_cost: 5,
        }
    }
}

/// So many requests in so many seconds; all of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, transform = each_may_be_left_out)]
pub struct Rate {
    pub requests: u32,
    pub per_seconds: u32,
}

impl Rate {
    const fn per_minute(requests: u32) -> Self {
        Self { requests, per_seconds: 60 }
    }
}

fn each_may_be_left_out(schema: &mut schemars::Schema) {
    schema.remove("required");
}

/// Reads a rate of which one number may be left out; the policy keeps its own.
fn rate<'de, D: Deserializer<'de>, const REQUESTS: u32>(deserializer: D) -> Result<Rate, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        requests: Option<u32>,
        per_seconds: Option<u32>,
    }
    let written = Written::deserialize(deserializer)?;
    let usual = Rate::per_minute(REQUESTS);
    Ok(Rate {
        requests: written.requests.unwrap_or(usual.requests),
        per_seconds: written.per_seconds.unwrap_or(usual.per_seconds),
    })
}

impl HttpConfig {
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for origin in &self.cors_origins {
            let exact = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin && url.origin().is_tuple());
            if !exact {
                problems.push(format!(
                    "http.cors_origins: {origin:?} is no origin such as https://app.example.com (no path, no `*`)"
                ));
            }
        }
        let limits = &self.rate_limits;
        for (name, rate) in [
            ("anonymous", limits.anonymous),
            ("auth", limits.auth),
            ("user", limits.user),
            ("api_key", limits.api_key),
        ] {
            if rate.requests == 0 || rate.per_seconds == 0 {
                problems.push(format!("http.rate_limits.{name}: both numbers must be positive"));
            }
        }
        for (name, value) in [
            ("max_in_flight", self.max_in_flight),
            ("max_connections", self.max_connections),
            ("max_body_bytes", self.max_body_bytes),
        ] {
            if value == 0 {
                problems.push(format!("http.{name}: must be positive"));
            }
        }
        if limits.search_cost == 0 {
            problems.push("http.rate_limits.search_cost: must be positive".into());
        }
        for (name, value) in [
            ("timeout_seconds", self.timeout_seconds),
            ("body_timeout_seconds", self.body_timeout_seconds),
        ] {
            if value == 0 {
                problems.push(format!("http.{name}: must be positive"));
            }
        }
        problems
    }
}
