//! Request rates by GCRA (crate governor), announced as draft-ietf-httpapi-ratelimit-headers says.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use kernel::ids::{ApiKeyId, UserId};
use kernel::{Actor, Error, ErrorKind};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::config::{Rate, RateLimitConfig};
use super::problem::retry_after_seconds;

pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

type Keyed<K> = RateLimiter<K, Memory<K>, DefaultClock, StateInformationMiddleware>;

/// Callers that one policy remembers. Beyond it the one idle for longest is forgotten, so that a flood of addresses
/// costs memory up to here (about 100 bytes each) and no more.
const MAX_KEYS: u64 = 100_000;

/// State per caller, bounded, and forgotten once the allowance is whole again.
struct Memory<K: Hash + Eq>(Cache<K, Arc<InMemoryState>>);

impl<K: Hash + Eq + Send + Sync + 'static> Memory<K> {
    fn new(window: Duration, max_keys: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(max_keys)
            // Not the default, which turns newcomers away: they would start afresh at every request.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(window);
        Self(cache.build())
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> StateStore for Memory<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let state = self.0.get_with_by_ref(key, Arc::default);
        state.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

/// One policy with its own memory.
struct Policy<K: Hash + Eq + Clone + Send + Sync + 'static> {
    name: &'static str,
    rate: Rate,
    limiter: Keyed<K>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Policy<K> {
    fn new(name: &'static str, rate: Rate) -> Self {
        let burst = NonZeroU32::new(rate.requests).unwrap_or(NonZeroU32::MIN);
        let window = Duration::from_secs(u64::from(rate.per_seconds.max(1)));
        let period = window / burst.get();
        let quota = Quota::with_period(period)
            .unwrap_or_else(|| Quota::per_second(burst))
            .allow_burst(burst);
        Self {
            name,
            rate,
            limiter: RateLimiter::new(quota, Memory::new(window, MAX_KEYS), DefaultClock::default()),
        }
    }

    fn check(&self, key: &K, cost: u32) -> Verdict {
        // What costs more than the whole allowance could never run.
        let cost = NonZeroU32::new(cost.min(self.rate.requests)).unwrap_or(NonZeroU32::MIN);
        let (remaining, retry_after) = match self.limiter.check_key_n(key, cost) {
            Ok(Ok(state)) => (state.remaining_burst_capacity(), None),
            Ok(Err(refused)) => (0, Some(refused.wait_time_from(DefaultClock::default().now()))),
            Err(_) => (0, Some(Duration::from_secs(u64::from(self.rate.per_seconds)))),
        };
        if retry_after.is_some() {
            metrics::counter!("http_rate_limited_total", "policy" => self.name).increment(1);
        }
        Verdict {
            policy: self.name,
            rate: self.rate,
            remaining,
            retry_after,
        }
    }
}

/// What the policy says of one request.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    policy: &'static str,
    rate: Rate,
    remaining: u32,
    retry_after: Option<Duration>,
}

impl Verdict {
    /// 429 when the allowance is used up.
    pub fn refusal(&self) -> Option<Error> {
        let after = self.retry_after?;
        let detail = format!(
            "The policy {:?} allows {} requests in {} seconds.",
            self.policy, self.rate.requests, self.rate.per_seconds
        );
        Some(Error::new(ErrorKind::RateLimited, "request.rate_limited", detail).with_retry_after(after))
    }

    /// `RateLimit-Policy` and `RateLimit`.
    pub fn announce(&self, headers: &mut HeaderMap) {
        let policy = format!("\"{}\";q={};w={}", self.policy, self.rate.requests, self.rate.per_seconds);
        // Seconds until one more request is allowed, or until the burst is whole again at most.
        let reset = self.retry_after.map_or_else(
            || {
                let used = self.rate.requests.saturating_sub(self.remaining);
                (u64::from(used) * u64::from(self.rate.per_seconds)).div_ceil(u64::from(self.rate.requests.max(1)))
            },
            retry_after_seconds,
        );
        let limit = format!("\"{}\";r={};t={reset}", self.policy, self.remaining);
        for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, limit)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

/// All policies of the process.
pub struct RateLimits {
    enabled: bool,
    anonymous: Policy<IpAddr>,
    auth: Policy<IpAddr>,
    user: Policy<UserId>,
    api_key: Policy<ApiKeyId>,
    search_cost: u32,
}

impl RateLimits {
    pub fn new(config: &RateLimitConfig) -> Self {
        Self {
            enabled: config.enabled,
            anonymous: Policy::new("anonymous", config.anonymous),
            auth: Policy::new("auth", config.auth),
            user: Policy::new("user", config.user),
            api_key: Policy::new("api_key", config.api_key),
            search_cost: config.search_cost,
        }
    }

    /// `paid`: what the request that this one is part of has been counted for. `None` when limits are off, the route is
    /// exempt or nothing is left to count.
    pub fn check(&self, actor: &Actor, address: IpAddr, uri: &Uri, paid: u32) -> Option<Verdict> {
        let path = uri.path();
        if !self.enabled || matches!(path, "/livez" | "/readyz") {
            return None;
        }
        // The stricter policy of the credential routes counts whoever asks: a token must not buy more guesses.
        if path.starts_with("/v1/auth/") {
            return Some(self.auth.check(&network(address), 1));
        }
        let cost = if is_search(uri) { self.search_cost } else { 1 }.saturating_sub(paid);
        if cost == 0 {
            return None;
        }
        Some(match actor {
            Actor::User { user_id, .. } => self.user.check(user_id, cost),
            Actor::ApiKey { key_id, .. } => self.api_key.check(key_id, cost),
            Actor::Anonymous | Actor::System => self.anonymous.check(&network(address), cost),
        })
    }
}

/// Full text (`q=`) reads far more than it answers.
fn is_search(uri: &Uri) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| pair.starts_with("q="))
}

/// A single IPv6 subscriber owns a /64; counting single addresses would count nothing.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}
