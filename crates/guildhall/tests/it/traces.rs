//! Traces as a collector gets them, from the real binary.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use platform::Caller;
use platform::db::{Db, Unit};
use prost::Message as _;
use reqwest::{Method, StatusCode};
use serde_json::json;
use testkit::TestServer;

use crate::collector::Collector;
use crate::process::{Server, free_port};
use crate::support::{PASSWORD, SCHEMAS, eventually};

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = span.attributes.iter();
    pairs
        .filter_map(|pair| Some((pair.key.as_str(), text(pair.value.as_ref()?.value.as_ref()?))))
        .collect()
}

fn spans(collector: &Collector) -> Vec<Span> {
    let batches = collector.heard();
    let requests = batches.iter().filter(|heard| heard.path == "/v1/traces").map(|heard| {
        assert_eq!(heard.header("content-type"), Some("application/x-protobuf"));
        ExportTraceServiceRequest::decode(heard.body.as_slice()).expect("OTLP")
    });
    let resources = requests.flat_map(|request| request.resource_spans);
    let scopes = resources.flat_map(|resource| {
        let names = resource.resource.expect("a resource").attributes;
        assert!(names.iter().any(|pair| pair.key == "service.name"), "{names:?}");
        resource.scope_spans
    });
    scopes.flat_map(|scope| scope.spans).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_request_through_the_unit_to_the_consumers_of_its_event() {
    let collector = Collector::start(200).await;
    let database = TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let mut server = Server::start_with(&database, free_port(), |command| {
        command
            .env("GUILDHALL_LOG__LEVEL", "error")
            .env("GUILDHALL_TRACES__ENDPOINT", collector.url(""))
            .env("GUILDHALL_TRACES__HEADERS", "x-collector-key=open%20sesame")
            // The SDK's own variables have no say.
            .env("OTEL_TRACES_SAMPLER", "always_off")
            .env("OTEL_SERVICE_NAME", "somebody-else");
    });
    server.ready(&http).await;
    let ada = server.anonymous(&http).register("ada").await;
    let workspace = ada.workspace("Acme").await;
    let project = ada.project(&workspace, "ABC").await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = ada
        .request(Method::POST, &format!("/v1/projects/{project}/tasks"))
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .json(&json!({ "title": "A secret title" }));
    let answer = ada.send(request).await.expect(StatusCode::CREATED);
    let told = answer.header("traceparent").expect("a traceparent").to_owned();
    assert!(
        told.starts_with(&format!("00-{trace}-")) && !told.contains("b7ad6b7169203331"),
        "{told}"
    );

    let of_trace = |all: Vec<Span>| -> Vec<Span> { all.into_iter().filter(|span| hex(&span.trace_id) == trace).collect() };
    let found = eventually("the consumer's span", || async {
        let found = of_trace(spans(&collector));
        let both = ["process tasks.task_created.v1", "POST /v1/projects/{project_id}/tasks"];
        let there = both.iter().all(|name| found.iter().any(|span| span.name == *name));
        there.then_some(found)
    })
    .await;
    let find = |name: &str| {
        found
            .iter()
            .find(|span| span.name == name)
            .unwrap_or_else(|| panic!("{name}: {found:#?}"))
    };
    let root = find("POST /v1/projects/{project_id}/tasks");
    assert_eq!(hex(&root.parent_span_id), "b7ad6b7169203331");
    assert!(told.contains(&hex(&root.span_id)), "what the answer says");
    let about = attributes(root);
    assert_eq!(about["http.route"], "/v1/projects/{project_id}/tasks");
    assert_eq!(about["http.response.status_code"], "201");
    assert_eq!(about["guildhall.request_id"], answer.header("x-request-id").expect("an id"));
    // Before it another may make the states of the workspace, when the news of that is still under way.
    let unit = found.iter().find(|span| {
        let made = || attributes(span)["db.query.summary"].contains("INSERT tasks");
        span.name == "tasks unit" && span.parent_span_id == root.span_id && made()
    });
    let unit = unit.unwrap_or_else(|| panic!("no unit of the request: {found:#?}"));
    let about = attributes(unit);
    assert!(about["db.query.summary"].contains("INSERT outbox"), "{about:?}");
    let event = find("process tasks.task_created.v1");
    assert_eq!(event.parent_span_id, unit.span_id, "the event came about in the unit");
    let later = found.iter().filter(|span| span.parent_span_id == event.span_id);
    assert!(later.count() >= 1, "what the consumer did: {found:#?}");
    find("tasks read");

    // Nothing that somebody sent.
    for heard in collector.heard() {
        assert_eq!(heard.header("x-collector-key"), Some("open sesame"));
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        for secret in [
            "secret title",
            "ada@example.com",
            PASSWORD,
            "Acme",
            "somebody-else",
            ada.token.as_deref().expect("a token"),
        ] {
            assert!(!text.contains(secret), "{secret}");
        }
    }

    // What waits when the process stops still leaves.
    let last = ada
        .request(Method::GET, "/v1/tasks")
        .header("traceparent", "00-11111111111111111111111111111111-b7ad6b7169203331-01");
    ada.send(last).await.expect(StatusCode::OK);
    // Who asks not to be recorded is not.
    let unrecorded = ada
        .request(Method::GET, "/v1/tasks")
        .header("traceparent", "00-22222222222222222222222222222222-b7ad6b7169203331-00");
    let answer = ada.send(unrecorded).await.expect(StatusCode::OK);
    assert!(answer.header("traceparent").expect("a traceparent").ends_with("-00"));
    assert!(server.terminate().success());
    let ids: Vec<String> = spans(&collector).iter().map(|span| hex(&span.trace_id)).collect();
    assert!(ids.contains(&"1".repeat(32)), "flushed at the end");
    assert!(!ids.contains(&"2".repeat(32)), "not sampled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_harms_nobody_and_is_told_of_once() {
    let database = TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).expect("a file");
    let mut server = Server::start_with(&database, free_port(), |command| {
        command
            .env("GUILDHALL_LOG__LEVEL", "warn")
            // Nothing listens there.
            .env("GUILDHALL_TRACES__ENDPOINT", "http://127.0.0.1:1")
            .env("GUILDHALL_TRACES__QUEUE", "16")
            .stderr(file);
    });
    server.ready(&http).await;
    let ada = server.anonymous(&http).register("ada").await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        ada.get("/v1/tasks").await.expect(StatusCode::OK);
    }
    let stopping = Instant::now();
    assert!(server.terminate().success());
    assert!(stopping.elapsed() < Duration::from_secs(20), "{:?}", stopping.elapsed());
    let text = std::fs::read_to_string(&log).expect("the log");
    assert_eq!(text.matches("telemetry is not taken").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_failures_are_reported_without_what_somebody_sent() {
    let collector = Collector::start(200).await;
    let database = TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let mut server = Server::start_with(&database, free_port(), |command| {
        command
            .env("GUILDHALL_LOG__LEVEL", "off")
            .env("GUILDHALL_SENTRY__DSN", collector.url("/7").replace("http://", "http://publickey@"))
            .env("GUILDHALL_SENTRY__ENVIRONMENT", "drill");
    });
    server.ready(&http).await;
    let ada = server.anonymous(&http).register("ada").await;
    let workspace = ada.workspace("Acme").await;
    let project = ada.project(&workspace, "ABC").await;
    ada.task(&project, "A secret title").await;
    // What cannot be read is a failure of ours.
    break_tasks(&database).await;
    let path = format!("/v1/projects/{project}/tasks?q=secret");
    let answer = ada.send(ada.request(Method::GET, &path).header("x-request-id", "drill-1")).await;
    answer.expect_problem(StatusCode::INTERNAL_SERVER_ERROR, "internal");
    let event = eventually("a report", || async {
        let heard = collector.heard();
        let lines = heard.iter().map(|heard| String::from_utf8_lossy(&heard.body).into_owned());
        lines
            .filter_map(|text| serde_json::from_str::<serde_json::Value>(text.lines().nth(2)?).ok())
            .find(|event| event["tags"]["request_id"] == "drill-1")
    })
    .await;
    assert_eq!(event["level"], "error");
    assert_eq!(event["environment"], "drill");
    assert_eq!(event["release"], format!("guildhall@{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(event["transaction"], "GET /v1/projects/{project_id}/tasks");
    assert_eq!(event["exception"]["values"][0]["type"], "internal");
    for heard in collector.heard() {
        assert_eq!(heard.path, "/api/7/envelope/");
        assert!(heard.header("x-sentry-auth").expect("a key").contains("sentry_key=publickey"));
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        for secret in [
            "secret title",
            "ada@example.com",
            PASSWORD,
            "Acme",
            "q=secret",
            &project,
            ada.token.as_deref().expect("a token"),
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert!(server.terminate().success());
}

/// Writes what no version of the program could have written.
async fn break_tasks(database: &TestServer) {
    let db = Db::connect(database.config(), database.folder(), tasks::SCHEMA)
        .await
        .expect("a database");
    let mut unit = Unit::new(&Caller::system(&kernel::SystemClock, "test"));
    unit.update(sea_query::Query::update().table("tasks").value("status", "broken").to_owned());
    db.apply(unit).await.expect("broken");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
