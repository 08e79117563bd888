//! `Idempotency-Key` on the engine under test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::{Json, Router, routing};
use http::StatusCode;
use kernel::Error;
use platform::Caller;
use platform::db::{Db, Reply, Schema, Unit};
use platform::http::idempotency::{Idempotency, layer};
use platform::http::{Body, Problem};
use serde_json::{Value, json};
use testkit::TestDb;

use crate::support::{Answer, Kit, request};

const SCHEMA: Schema = Schema {
    service: "idempotency",
    migrations: &[],
    unique_rules: &[],
};

#[derive(Clone)]
struct Work {
    db: Db,
    done: Arc<AtomicUsize>,
    /// Whoever asks may no longer see anything.
    put_out: Arc<AtomicBool>,
}

impl Work {
    fn count(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

async fn in_unit(State(work): State<Work>, caller: Caller, Body(body): Body<Value>) -> Result<impl IntoResponse, Problem> {
    let number = work.done.fetch_add(1, Ordering::SeqCst) + 1;
    if body["slow"] == true {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    if body["fail"] == true {
        return Err(Error::invalid_field("/fail", "asked", "was asked to fail").into());
    }
    let unit = Unit::new(&caller);
    let reply = move |_: &mut _| Ok(Reply::created(json!({ "number": number }), 7, format!("/v1/made/{number}")));
    Ok(work.db.apply_reply(unit, reply).await?)
}

/// Answers without a unit: stored after the fact.
async fn beside(State(work): State<Work>, _: Caller) -> impl IntoResponse {
    let number = work.done.fetch_add(1, Ordering::SeqCst) + 1;
    (StatusCode::ACCEPTED, Json(json!({ "number": number })))
}

async fn empty(State(work): State<Work>, _: Caller) -> StatusCode {
    work.done.fetch_add(1, Ordering::SeqCst);
    StatusCode::NO_CONTENT
}

async fn read(State(work): State<Work>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    caller.user_id()?;
    if work.put_out.load(Ordering::SeqCst) {
        return Err(Error::not_found("request.not_found", "Nothing is here that you can see.").into());
    }
    Ok(Json(json!({})))
}

async fn kit() -> (Kit, Work, TestDb) {
    let database = TestDb::new(SCHEMA).await;
    let work = Work {
        db: database.db(),
        done: Arc::default(),
        put_out: Arc::default(),
    };
    let router = Router::new()
        .route("/v1/made", routing::post(in_unit).patch(in_unit).put(in_unit))
        .route("/v1/other", routing::post(in_unit))
        .route("/v1/things/{id}", routing::get(read).patch(in_unit))
        .route("/v1/things/{id}/restore", routing::post(in_unit))
        .route("/v1/things/{id}/close", routing::post(empty))
        .route("/v1/things/{id}/leave", routing::post(in_unit))
        .route("/v1/beside", routing::post(beside))
        .route("/v1/empty", routing::post(empty))
        .route("/v1/auth/made", routing::post(beside))
        .with_state(work.clone())
        .layer(from_fn_with_state(Idempotency::new(database.db(), 1024 * 1024), layer));
    (Kit::with(|_| {}, router), work, database)
}

async fn post(kit: &Kit, path: &str, key: &str, body: &'static str) -> Answer {
    kit.post(path, &[("idempotency-key", key)], body).await
}

#[tokio::test]
async fn a_repeated_request_acts_once_and_answers_the_same() {
    let (kit, work, _database) = kit().await;
    let first = post(&kit, "/v1/made", "k", "{}").await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    for _ in 0..3 {
        let again = post(&kit, "/v1/made", "k", "{}").await;
        assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    assert_eq!(work.count(), 1);
    // Without a key, and with another, it is another request.
    kit.post("/v1/made", &[], "{}").await;
    post(&kit, "/v1/made", "k2", "{}").await;
    assert_eq!(work.count(), 3);
}

#[tokio::test]
async fn the_key_is_bound_to_person_route_and_body() {
    let (mut kit, work, _database) = kit().await;
    post(&kit, "/v1/made", "k", "{}").await;
    post(&kit, "/v1/made", "k", r#"{"a":1}"#)
        .await
        .problem(422, "request.idempotency_key_reused");
    assert_eq!(post(&kit, "/v1/other", "k", "{}").await.status, 201);
    kit.user_id = kernel::ids::EntityId::generate(&kit.clock);
    assert_eq!(post(&kit, "/v1/made", "k", "{}").await.header("idempotency-replayed"), "");
    assert_eq!(work.count(), 3);
}

#[tokio::test]
async fn one_thing_is_one_however_its_path_is_spelt() {
    let (kit, work, _database) = kit().await;
    let id = "0198c1f2-a7c4-7d0b-9a35-e3a1c4f0b6d2";
    let first = post(&kit, &format!("/v1/things/{id}/restore"), "k", "{}").await;
    assert_eq!(first.status, 201);
    for spelling in [id.to_uppercase(), id.replace('-', "%2D"), id.replacen('0', "%30", 1)] {
        let again = post(&kit, &format!("/v1/things/{spelling}/restore"), "k", "{}").await;
        assert_eq!(
            (again.header("idempotency-replayed"), &again.body),
            ("true", &first.body),
            "{spelling}"
        );
    }
    assert_eq!(work.count(), 1);
    let other = id.replacen('0', "1", 1);
    let another = post(&kit, &format!("/v1/things/{other}/restore"), "k", "{}").await;
    assert_eq!(another.header("idempotency-replayed"), "");
    assert_eq!(work.count(), 2);
}

#[tokio::test]
async fn another_query_or_content_type_is_another_request() {
    let (kit, work, _database) = kit().await;
    post(&kit, "/v1/made?a=1", "k", "{}").await;
    for path in ["/v1/made", "/v1/made?a=2", "/v1/made?a=1&b=2"] {
        post(&kit, path, "k", "{}").await.problem(422, "request.idempotency_key_reused");
    }
    let headers = [("idempotency-key", "k"), ("content-type", "text/plain")];
    let plain = kit.post("/v1/made?a=1", &headers, "{}").await;
    plain.problem(422, "request.idempotency_key_reused");
    // The same kind in other words.
    let headers = [("idempotency-key", "k"), ("content-type", "Application/JSON; charset=utf-8")];
    let again = kit.post("/v1/made?a=1", &headers, "{}").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(work.count(), 1);
}

#[tokio::test]
async fn whoever_was_put_out_is_told_nothing_again() {
    let (kit, work, _database) = kit().await;
    let thing = "/v1/things/0198c1f2-a7c4-7d0b-9a35-e3a1c4f0b6d2";
    let paths = ["", "/restore", "/close", "/leave"].map(|verb| format!("{thing}{verb}"));
    let ask = async |path: &String| {
        let token = format!("Bearer {}", kit.token());
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];
        let method = if path == thing { "PATCH" } else { "POST" };
        kit.send(request(method, path, &headers, "{}")).await
    };
    for path in &paths {
        assert!(ask(path).await.status.is_success(), "{path}");
        assert_eq!(ask(path).await.header("idempotency-replayed"), "true", "{path}");
    }
    work.put_out.store(true, Ordering::SeqCst);
    for path in &paths[..2] {
        ask(path).await.problem(404, "request.not_found");
    }
    // Nothing is told there, or what one did to oneself.
    for path in &paths[2..] {
        assert_eq!(ask(path).await.header("idempotency-replayed"), "true", "{path}");
    }
    assert_eq!(work.count(), 4, "nothing was done again");
}

#[tokio::test]
async fn a_twin_waits_for_nobody_and_gets_409() {
    let (kit, work, _database) = kit().await;
    let body = r#"{"slow":true}"#;
    let (first, second) = tokio::join!(post(&kit, "/v1/made", "k", body), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        post(&kit, "/v1/made", "k", body).await
    });
    assert_eq!(first.status, 201);
    second.problem(409, "request.idempotency_in_flight");
    assert_eq!(post(&kit, "/v1/made", "k", body).await.header("idempotency-replayed"), "true");
    assert_eq!(work.count(), 1);
}

#[tokio::test]
async fn a_request_dropped_by_its_client_does_not_block_its_key() {
    let (kit, _work, _database) = kit().await;
    let body = r#"{"slow":true}"#;
    let dropped = tokio::time::timeout(Duration::from_millis(100), post(&kit, "/v1/made", "k", body)).await;
    assert!(dropped.is_err());
    assert_eq!(post(&kit, "/v1/made", "k", body).await.status, 201);
}

#[tokio::test]
async fn failures_are_not_stored() {
    let (kit, work, _database) = kit().await;
    for _ in 0..2 {
        post(&kit, "/v1/made", "k", r#"{"fail":true}"#)
            .await
            .problem(422, "request.invalid");
    }
    assert_eq!(work.count(), 2);
    // So the corrected body may use the key.
    assert_eq!(post(&kit, "/v1/made", "k", "{}").await.status, 201);
}

#[tokio::test]
async fn answers_made_outside_a_unit_are_stored_too() {
    let (kit, work, _database) = kit().await;
    let first = post(&kit, "/v1/beside", "k", "").await;
    let again = post(&kit, "/v1/beside", "k", "").await;
    assert_eq!((again.status.as_u16(), &again.body), (202, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    post(&kit, "/v1/empty", "k", "").await;
    let again = post(&kit, "/v1/empty", "k", "").await;
    assert_eq!(
        (again.status.as_u16(), again.bytes.len(), again.header("content-type")),
        (204, 0, "")
    );
    assert_eq!(work.count(), 2);
}

#[tokio::test]
async fn keys_are_short_and_visible_and_only_for_people() {
    let (kit, work, _database) = kit().await;
    for key in ["", "a b", "\u{e9}", &"k".repeat(256)] {
        post(&kit, "/v1/made", key, "{}")
            .await
            .problem(400, "request.idempotency_key_invalid");
    }
    assert_eq!(work.count(), 0);
    assert_eq!(post(&kit, "/v1/made", &"k".repeat(255), "{}").await.status, 201);
    // Credentials are never stored.
    for _ in 0..2 {
        assert_eq!(post(&kit, "/v1/auth/made", "k", "{}").await.header("idempotency-replayed"), "");
    }
    assert_eq!(work.count(), 3);
    let headers = [("authorization", "Bearer rubbish"), ("idempotency-key", "k")];
    kit.post("/v1/made", &headers, "{}").await.problem(401, "auth.token_invalid");
}
