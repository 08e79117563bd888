//! Rates, the queue, the time limit, and whose address counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Router, routing};
use platform::http::HttpConfig;
use platform::http::config::Rate;
use tokio::sync::Notify;

use crate::support::{Answer, Kit, request, routes};

const fn rate(requests: u32) -> Rate {
    Rate { requests, per_seconds: 60 }
}

fn small(config: &mut HttpConfig) {
    config.rate_limits.anonymous = rate(3);
    config.rate_limits.auth = rate(2);
    config.rate_limits.user = rate(10);
}

async fn from(kit: &Kit, peer: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = request(method, path, headers, "");
    request
        .extensions_mut()
        .insert(ConnectInfo(peer.parse::<SocketAddr>().expect("works")));
    kit.send(request).await
}

#[tokio::test]
async fn anonymous_addresses_are_counted_and_told() {
    let kit = Kit::with(small, routes());
    for left in ["2", "1", "0"] {
        let answer = from(&kit, "198.51.100.1:1", "GET", "/v1/public", &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"anonymous\";q=3;w=60");
        assert!(
            answer.header("ratelimit").starts_with(&format!("\"anonymous\";r={left};t=")),
            "{answer:#?}"
        );
    }
    let refused = from(&kit, "198.51.100.1:2", "GET", "/v1/public", &[]).await;
    refused.problem(429, "request.rate_limited");
    assert_eq!(refused.body["type"], "/problems/quota-exceeded");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").starts_with("\"anonymous\";r=0;t="));
    // Somebody else is not affected.
    assert_eq!(from(&kit, "198.51.100.2:1", "GET", "/v1/public", &[]).await.status, 200);
}

#[test]
fn each_number_of_a_rate_is_set_alone() {
    let load = |settings: &[(&str, &str)]| {
        let env = settings
            .iter()
            .map(|(key, value)| (format!("GUILDHALL_RATE_LIMITS__{key}"), (*value).to_owned()));
        platform::config::load::<HttpConfig>(None, env.collect::<Vec<_>>(), &BTreeMap::new(), HttpConfig::validate)
    };
    let usual = HttpConfig::default().rate_limits;
    let (read, _) = load(&[
        ("ANONYMOUS__PER_SECONDS", "1"),
        ("AUTH__REQUESTS", "100"),
        ("USER__PER_SECONDS", "10"),
        ("API_KEY__REQUESTS", "7"),
    ])
    .expect("a configuration");
    let read = read.rate_limits;
    assert_eq!((read.anonymous.requests, read.anonymous.per_seconds), (usual.anonymous.requests, 1));
    assert_eq!((read.auth.requests, read.auth.per_seconds), (100, usual.auth.per_seconds));
    assert_eq!((read.user.requests, read.user.per_seconds), (usual.user.requests, 10));
    assert_eq!((read.api_key.requests, read.api_key.per_seconds), (7, usual.api_key.per_seconds));
    let (whole, _) = load(&[("AUTH__REQUESTS", "5"), ("AUTH__PER_SECONDS", "6")]).expect("a configuration");
    assert_eq!((whole.rate_limits.auth.requests, whole.rate_limits.auth.per_seconds), (5, 6));
    assert!(load(&[("AUTH__REQUESTS", "0")]).is_err());
    assert!(load(&[("AUTH__BURST", "5")]).is_err());
    // What editors are told says so too.
    let schema = platform::config::json_schema::<HttpConfig>();
    let rate = &schema["properties"]["rate_limits"]["properties"]["auth"];
    assert!(
        rate["properties"]["requests"].is_object() && rate.get("required").is_none(),
        "{rate:#}"
    );
    assert_eq!(rate["default"], serde_json::json!({ "requests": 30, "per_seconds": 60 }));
}

#[tokio::test]
async fn an_ipv6_subscriber_is_one_address() {
    let kit = Kit::with(small, routes());
    for host in 1..=3 {
        assert_eq!(
            from(&kit, &format!("[2001:db8:0:1::{host}]:1"), "GET", "/v1/public", &[])
                .await
                .status,
            200
        );
    }
    assert_eq!(from(&kit, "[2001:db8:0:1:ffff::9]:1", "GET", "/v1/public", &[]).await.status, 429);
    assert_eq!(from(&kit, "[2001:db8:0:2::1]:1", "GET", "/v1/public", &[]).await.status, 200);
    // An IPv4 address in IPv6 clothes is the IPv4 address.
    for _ in 0..3 {
        from(&kit, "203.0.113.1:1", "GET", "/v1/public", &[]).await;
    }
    assert_eq!(from(&kit, "[::ffff:203.0.113.1]:1", "GET", "/v1/public", &[]).await.status, 429);
}

#[tokio::test]
async fn people_are_counted_wherever_they_come_from_and_searches_cost_more() {
    let kit = Kit::with(small, routes());
    let token = format!("Bearer {}", kit.token());
    let headers = [("authorization", token.as_str())];
    let first = from(&kit, "198.51.100.1:1", "GET", "/v1/me", &headers).await;
    assert!(first.header("ratelimit").starts_with("\"user\";r=9;"), "{first:#?}");
    let search = from(&kit, "198.51.100.2:1", "GET", "/v1/things?limit=5&q=a", &headers).await;
    assert!(search.header("ratelimit").starts_with("\"user\";r=4;"), "{search:#?}");
    from(&kit, "198.51.100.3:1", "GET", "/v1/things?q=a", &headers)
        .await
        .problem(429, "request.rate_limited");
    // What is left still serves a plain request.
    assert_eq!(from(&kit, "198.51.100.3:1", "GET", "/v1/me", &headers).await.status, 200);
    // A token that is none counts for the address.
    let bad = from(&kit, "198.51.100.9:1", "GET", "/v1/me", &[("authorization", "Bearer x")]).await;
    assert!(bad.header("ratelimit").starts_with("\"anonymous\""));
}

#[tokio::test]
async fn sec_07_a_token_buys_no_further_guesses_at_credentials() {
    let kit = Kit::with(small, routes());
    let token = format!("Bearer {}", kit.token());
    for headers in [vec![], vec![("authorization", token.as_str())]] {
        assert_eq!(from(&kit, "198.51.100.1:1", "POST", "/v1/auth/sign-in", &headers).await.status, 200);
    }
    for headers in [vec![], vec![("authorization", token.as_str())]] {
        let refused = from(&kit, "198.51.100.1:1", "POST", "/v1/auth/sign-in", &headers).await;
        refused.problem(429, "request.rate_limited");
        assert_eq!(refused.header("ratelimit-policy"), "\"auth\";q=2;w=60");
    }
    // The other routes of this address go on.
    assert_eq!(from(&kit, "198.51.100.1:1", "GET", "/v1/public", &[]).await.status, 200);
}

#[tokio::test]
async fn limits_can_be_switched_off_and_large_ones_do_not_overflow() {
    let kit = Kit::with(
        |config| {
            small(config);
            config.rate_limits.enabled = false;
        },
        routes(),
    );
    for _ in 0..10 {
        let answer = from(&kit, "198.51.100.1:1", "GET", "/v1/public", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("ratelimit")), (200, ""));
    }
    let day = Rate {
        requests: 4_000_000_000,
        per_seconds: 86_400,
    };
    let kit = Kit::with(|config| config.rate_limits.anonymous = day, routes());
    assert_eq!(from(&kit, "198.51.100.1:1", "GET", "/v1/public", &[]).await.status, 200);
}

#[tokio::test]
async fn sec_08_only_a_trusted_proxy_names_the_client() {
    let claim = [("x-forwarded-for", "203.0.113.7")];
    let kit = Kit::new();
    assert_eq!(
        from(&kit, "198.51.100.1:1", "GET", "/v1/public", &claim).await.body["ip"],
        "198.51.100.1"
    );
    let kit = Kit::with(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()], routes());
    assert_eq!(
        from(&kit, "198.51.100.1:1", "GET", "/v1/public", &claim).await.body["ip"],
        "198.51.100.1"
    );
    assert_eq!(
        from(&kit, "10.0.0.1:1", "GET", "/v1/public", &claim).await.body["ip"],
        "203.0.113.7"
    );
    // What the client wrote itself stands to the left of what the proxy saw.
    let spoofed = [
        ("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.0.0.2"),
        ("x-real-ip", "1.1.1.1"),
        ("forwarded", "for=1.1.1.1"),
    ];
    assert_eq!(
        from(&kit, "10.0.0.1:1", "GET", "/v1/public", &spoofed).await.body["ip"],
        "203.0.113.7"
    );
}

#[tokio::test]
async fn sec_08_a_forged_header_does_not_escape_the_limit() {
    let kit = Kit::with(small, routes());
    let mut last = 200;
    for turn in 0..4 {
        let claim = format!("203.0.113.{turn}");
        last = from(&kit, "198.51.100.1:1", "GET", "/v1/public", &[("x-forwarded-for", &claim)])
            .await
            .status
            .as_u16();
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn more_work_than_places_waits_shortly_then_is_503() {
    let gate = Arc::new(Notify::new());
    let held = gate.clone();
    let router = Router::new()
        .route("/v1/held", routing::get(move || async move { held.notified().await }))
        .route("/v1/free", routing::get(|| async {}))
        .route("/livez", routing::get(|| async {}));
    let kit = Arc::new(Kit::with(
        |config| {
            config.max_in_flight = 1;
            config.max_queued = 1;
            config.queue_timeout_ms = 200;
        },
        router,
    ));
    let ask = |path: &'static str| {
        let kit = kit.clone();
        async move { kit.get(path, &[]).await }
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(ask("/v1/held"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    // One waits until its patience ends, the next finds the queue full at once.
    let waited = std::time::Instant::now();
    let (queued, (full, at_once)) = tokio::join!(ask("/v1/free"), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let started = std::time::Instant::now();
        (ask("/v1/free").await, started.elapsed())
    });
    assert!(waited.elapsed() >= Duration::from_millis(200) && at_once < Duration::from_millis(150));
    for refused in [&queued, &full] {
        refused.problem(503, "service.overloaded");
        assert_eq!(
            (refused.header("retry-after"), &refused.body["type"]),
            ("1", &"/problems/temporary-reduced-capacity".into())
        );
    }
    assert_eq!(ask("/livez").await.status, 200, "health needs no place");
    gate.notify_one();
    assert_eq!(tasks.join_next().await.unwrap().unwrap().status, 200);
    assert_eq!(ask("/v1/free").await.status, 200, "the place is free again");
}

#[tokio::test]
async fn a_request_that_goes_away_leaves_its_place() {
    let router = Router::new()
        .route("/v1/held", routing::get(|| async { std::future::pending::<()>().await }))
        .route("/v1/free", routing::get(|| async {}));
    let kit = Kit::with(
        |config| {
            config.max_in_flight = 1;
            config.queue_timeout_ms = 50;
        },
        router,
    );
    for _ in 0..3 {
        assert!(
            tokio::time::timeout(Duration::from_millis(20), kit.get("/v1/held", &[]))
                .await
                .is_err()
        );
    }
    assert_eq!(kit.get("/v1/free", &[]).await.status, 200);
}

#[tokio::test]
async fn work_that_takes_too_long_is_given_up() {
    let kit = Kit::with(|config| config.timeout_seconds = 1, routes());
    kit.get("/v1/slow", &[]).await.problem(504, "request.timeout");
}
