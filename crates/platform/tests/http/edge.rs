//! What holds for every answer: ids, headers, formats, methods, failures.

use crate::support::{Kit, request, routes};

const ID: &str = "0198c1f2-a7c4-7d0b-9a35-e3a1c4f0b6d2";

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_harmless() {
    let kit = Kit::new();
    for id in ["a", "A-1_b.c", &"x".repeat(64)] {
        assert_eq!(kit.get("/v1/public", &[("x-request-id", id)]).await.header("x-request-id"), id);
    }
    for id in ["", "a b", "a/b", "a\"b", &"x".repeat(65)] {
        let answer = kit.get("/v1/public", &[("x-request-id", id)]).await;
        assert_ne!(answer.header("x-request-id"), id);
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
}

#[tokio::test]
async fn a_trace_goes_on_or_begins() {
    let kit = Kit::new();
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(kit.get("/v1/public", &[("traceparent", given)]).await.header("traceparent"), given);
    // Of a later version what this one knows.
    let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more-of-it";
    assert_eq!(kit.get("/v1/public", &[("traceparent", later)]).await.header("traceparent"), given);
    for bad in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "ff-x",
    ] {
        let made = kit.get("/v1/public", &[("traceparent", bad)]).await;
        assert_ne!(made.header("traceparent"), bad);
        assert_eq!(made.header("traceparent").len(), 55);
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let kit = Kit::new();
    kit.get("/v1/nothing", &[]).await.problem(404, "request.route_unknown");
    kit.get("/", &[]).await.problem(404, "request.route_unknown");
    let answer = kit.send(request("DELETE", "/v1/things", &[], "")).await;
    answer.problem(405, "request.method_not_allowed");
    let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    let asked = kit.send(request("OPTIONS", "/v1/things", &[], "")).await;
    assert_eq!((asked.status.as_u16(), asked.bytes.len()), (204, 0));
    assert!(asked.header("allow").contains("POST"), "{asked:#?}");
}

#[tokio::test]
async fn head_answers_like_get_without_the_body() {
    let kit = Kit::new();
    let path = format!("/v1/things/{ID}");
    let (get, head) = (kit.get(&path, &[]).await, kit.send(request("HEAD", &path, &[], "")).await);
    assert_eq!(
        (head.status, head.header("etag"), head.bytes.len()),
        (get.status, get.header("etag"), 0)
    );
    assert_eq!(kit.send(request("HEAD", "/v1/nothing", &[], "")).await.status, 404);
}

#[tokio::test]
async fn only_formats_that_exist_are_promised() {
    let kit = Kit::new();
    for accept in ["text/html", "application/xml", "application/json;q=0", "image/*"] {
        kit.get("/v1/public", &[("accept", accept)])
            .await
            .problem(406, "request.not_acceptable");
    }
    for accept in [
        "*/*",
        "application/json",
        "application/*;q=0.5",
        "text/html, */*;q=0.1",
        "",
        "APPLICATION/JSON",
    ] {
        assert_eq!(kit.get("/v1/public", &[("accept", accept)]).await.status, 200, "{accept}");
    }
    assert_eq!(kit.get("/v1/events", &[("accept", "text/event-stream")]).await.status, 200);
}

#[tokio::test]
async fn sec_24_our_failures_say_nothing_of_their_cause() {
    let kit = Kit::new();
    for (path, status, code) in [
        ("/v1/panic", 500, "internal"),
        ("/v1/broken", 500, "internal"),
        ("/v1/away", 503, "service.unavailable"),
    ] {
        let answer = kit.get(path, &[]).await;
        answer.problem(status, code);
        let text = String::from_utf8_lossy(&answer.bytes);
        assert!(
            !text.contains("secret") && !text.contains("hunter2") && !text.contains("panic:"),
            "{text}"
        );
    }
    // Rounded up to whole seconds.
    assert_eq!(kit.get("/v1/away", &[]).await.header("retry-after"), "3");
}

#[tokio::test]
async fn sec_25_security_headers_are_on_every_answer() {
    let kit = Kit::new();
    for path in [
        "/v1/public",
        "/v1/nothing",
        "/v1/me",
        "/v1/panic",
        "/problems",
        "/problems/not-found",
    ] {
        let answer = kit.get(path, &[]).await;
        let csp = answer.header("content-security-policy");
        assert!(
            csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe"),
            "{path}: {csp}"
        );
        let hsts = answer.header("strict-transport-security");
        let age: u64 = hsts.trim_start_matches("max-age=").split(';').next().unwrap().parse().unwrap();
        assert!(age >= 31_536_000, "{hsts}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert!(!answer.header("permissions-policy").is_empty());
        assert!(!answer.headers.contains_key("server") && !answer.headers.contains_key("x-powered-by"));
    }
    assert_eq!(kit.get("/v1/public", &[]).await.header("cache-control"), "private, no-cache");
    let signed_in = kit
        .send(request("POST", "/v1/auth/sign-in", &[("accept-encoding", "gzip")], ""))
        .await;
    assert_eq!(signed_in.header("cache-control"), "no-store");
    assert_eq!(signed_in.header("content-encoding"), "", "credentials are not compressed");
}

#[tokio::test]
async fn every_problem_type_resolves() {
    let kit = Kit::new();
    for path in ["/v1/nothing", "/v1/me", "/v1/panic", "/v1/away", "/v1/public?x=%00"] {
        if let Some(kind) = kit.get(path, &[]).await.body["type"].as_str() {
            let page = kit.get(kind, &[]).await;
            assert_eq!(page.status, 200, "{kind}");
            assert!(page.header("content-type").starts_with("text/html"));
        }
    }
    for (kind, _) in platform::http::PROBLEM_TYPES {
        let path = format!("/problems/{}", platform::http::problem_type(*kind));
        assert_eq!(kit.get(&path, &[]).await.status, 200, "{path}");
    }
    kit.get("/problems/unheard-of", &[]).await.problem(404, "request.not_found");
}

#[tokio::test]
async fn lists_are_compressed_and_what_must_keep_its_bytes_is_not() {
    let kit = Kit::new();
    for encoding in ["gzip", "br"] {
        let list = kit.get("/v1/large", &[("accept-encoding", encoding)]).await;
        assert_eq!(list.header("content-encoding"), encoding);
        let vary = |value: &http::HeaderValue| value.to_str().unwrap().eq_ignore_ascii_case("accept-encoding");
        assert!(list.headers.get_all("vary").iter().any(vary), "{:#?}", list.headers);
        assert!(list.bytes.len() < 1_000);
    }
    let path = format!("/v1/things/{ID}");
    for path in [path.as_str(), "/v1/events"] {
        assert_eq!(
            kit.get(path, &[("accept-encoding", "gzip, br")]).await.header("content-encoding"),
            "",
            "{path}"
        );
    }
}

#[tokio::test]
async fn who_refuses_what_is_not_compressed_gets_the_answer_nevertheless() {
    let kit = Kit::new();
    for refusal in [
        "identity;q=0",
        "*;q=0",
        "Identity; Q=0.0",
        "*;q=0.000",
        "gzip;q=0, br;q=0, *;q=0",
        "identity;q=0,*;q=0",
    ] {
        let made = kit.post("/v1/things", &[("accept-encoding", refusal)], r#"{"title":"a"}"#).await;
        assert_eq!((made.status.as_u16(), made.header("content-encoding")), (201, ""), "{refusal}");
        kit.get("/v1/nothing", &[("accept-encoding", refusal)])
            .await
            .problem(404, "request.route_unknown");
    }
    for (wish, encoding) in [
        ("gzip, identity;q=0", "gzip"),
        ("*;q=0, br", "br"),
        ("deflate, *;q=0", ""),
        ("identity;q=0", ""),
    ] {
        let list = kit.get("/v1/large", &[("accept-encoding", wish)]).await;
        assert_eq!((list.status.as_u16(), list.header("content-encoding")), (200, encoding), "{wish}");
    }
}

#[tokio::test]
async fn other_origins_read_only_what_the_list_allows() {
    let kit = Kit::with(|config| config.cors_origins = vec!["https://app.example.com".into()], routes());
    let preflight = |origin: &'static str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization,if-match,idempotency-key"),
        ];
        kit.send(request("OPTIONS", "/v1/things", &headers, ""))
    };
    let allowed = preflight("https://app.example.com").await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(allowed.header("access-control-allow-credentials"), "true");
    for name in ["authorization", "if-match", "idempotency-key", "last-event-id"] {
        assert!(allowed.header("access-control-allow-headers").contains(name), "{name}");
    }
    assert_eq!(allowed.header("x-request-id").len(), 32);
    assert_eq!(allowed.header("x-content-type-options"), "nosniff");
    assert!(!allowed.header("strict-transport-security").is_empty() && !allowed.header("content-security-policy").is_empty());
    // Refusals can be read there as well.
    let refused = kit.get("/v1/nothing", &[("origin", "https://app.example.com")]).await;
    refused.problem(404, "request.route_unknown");
    assert_eq!(refused.header("access-control-allow-origin"), "https://app.example.com");
    for origin in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "null",
    ] {
        assert_eq!(preflight(origin).await.header("access-control-allow-origin"), "", "{origin}");
    }
    let answer = kit.get("/v1/me", &[("origin", "https://app.example.com")]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
    let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
    for name in [
        "etag",
        "location",
        "retry-after",
        "ratelimit",
        "ratelimit-policy",
        "x-request-id",
        "deprecation",
        "sunset",
        "link",
    ] {
        assert!(exposed.split(',').any(|entry| entry.trim() == name), "{name} in {exposed}");
    }
    // Without a list nobody is allowed.
    assert_eq!(
        Kit::new()
            .get("/v1/public", &[("origin", "https://app.example.com")])
            .await
            .header("access-control-allow-origin"),
        ""
    );
}
