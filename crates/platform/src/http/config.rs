//! The `[http]` section.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// Request rates (GCRA) per policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    pub enabled: bool,
    /// Per address, without a valid token.
    pub anonymous: Rate,
    /// Per address, on the routes under `/v1/auth` that take credentials.
    pub auth: Rate,
    /// Per person.
    pub user: Rate,
    /// Per API key.
    pub api_key: Rate,
    /// How many requests a full-text search (`q=`) counts as.
    pub search_cost: u32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            anonymous: Rate {
                requests: 120,
                per_seconds: 60,
            },
            auth: Rate {
                requests: 30,
                per_seconds: 60,
            },
            user: Rate {
                requests: 600,
                per_seconds: 60,
            },
            api_key: Rate {
                requests: 600,
                per_seconds: 60,
            },
            search_cost: 5,
        }
    }
}

/// So many requests in so many seconds; all of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub requests: u32,
    pub per_seconds: u32,
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
