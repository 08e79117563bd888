//! API keys over HTTP: what they open, and what stays closed to them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, TestApp, eventually, join};

async fn make(owner: &Client, scopes: &[&str]) -> (String, Client) {
    let body = json!({ "name": "Program", "scopes": scopes, "current_password": PASSWORD });
    let made = owner.post("/v1/api-keys", body).await.expect(StatusCode::CREATED);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let key = made.body["key"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("ghl_") && key.len() == 91, "{key}");
    let program = Client {
        token: Some(key),
        ..owner.clone()
    };
    (made.id(), program)
}

#[track_caller]
fn lacks(answer: Answer, scope: &str) {
    let answer = answer.expect_problem(StatusCode::FORBIDDEN, "auth.scope_missing");
    assert_eq!(answer.body["scope"], scope);
    assert!(
        answer
            .header("www-authenticate")
            .expect("a challenge")
            .contains("insufficient_scope")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_17_a_key_opens_what_its_scopes_name_within_the_rights_of_its_owner() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &bob, "viewer").await;
    let project = ada.project(&workspace, "ABC").await;
    let tasks = format!("/v1/projects/{project}/tasks");

    let (_, reader) = make(&ada, &["tasks:read"]).await;
    reader.get(&tasks).await.expect(StatusCode::OK);
    reader.send(reader.request(Method::HEAD, &tasks)).await.expect(StatusCode::OK);
    lacks(reader.post(&tasks, json!({ "title": "No" })).await, "tasks:write");
    lacks(reader.get(&format!("/v1/projects/{project}")).await, "projects:read");
    lacks(reader.get("/v1/notifications").await, "notifications:read");
    let member = format!("/v1/projects/{project}/members/{}", bob.user_id);

    let (_, writer) = make(&ada, &["tasks:write", "projects:write"]).await;
    let task = writer.post(&tasks, json!({ "title": "Yes" })).await.expect(StatusCode::CREATED);
    assert_eq!(task.body["creator_id"], ada.user_id, "the key acts for its owner");
    writer.get("/v1/tasks").await.expect(StatusCode::OK);
    lacks(writer.put(&member, json!({ "role": "owner" })).await, "members:write");

    // Everything a key can be given, and still no more than the owner's role.
    let all = [
        "workspaces:write",
        "members:write",
        "projects:write",
        "tasks:write",
        "notifications:write",
    ];
    let (_, viewer) = make(&bob, &all).await;
    viewer.get(&tasks).await.expect(StatusCode::OK);
    let refused = viewer.post(&tasks, json!({ "title": "No" })).await.expect(StatusCode::FORBIDDEN);
    assert_ne!(refused.body["code"], "auth.scope_missing", "the role says no");
    let (_, program) = make(&ada, &all).await;
    for (method, path) in [
        ("GET", "/v1/me".to_owned()),
        ("PATCH", "/v1/me".to_owned()),
        ("DELETE", "/v1/me".to_owned()),
        ("GET", "/v1/sessions".to_owned()),
        ("GET", "/v1/api-keys".to_owned()),
        ("POST", "/v1/api-keys".to_owned()),
        ("POST", "/v1/auth/sign-out-all".to_owned()),
        ("GET", "/v1/users".to_owned()),
        ("GET", format!("/v1/events?workspace_id={workspace}")),
        ("POST", format!("/v1/workspaces/{workspace}/transfer")),
        ("POST", format!("/v1/workspaces/{workspace}/leave")),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = program.request(method.clone(), &path).header("content-type", "application/json");
        let answer = program.send(request.body("{}")).await;
        assert_eq!(answer.body["code"], "auth.api_key_refused", "{method} {path}: {answer:#?}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_17_keys_come_in_the_header_alone_and_stop_at_once() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let (id, program) = make(&ada, &["tasks:read"]).await;
    let key = program.token.clone().expect("a key");
    program.get("/v1/tasks").await.expect(StatusCode::OK);
    let nobody = app.anonymous();
    for path in [format!("/v1/tasks?api_key={key}"), format!("/v1/tasks?access_token={key}")] {
        let status = nobody.get(&path).await.status;
        assert!(matches!(status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST), "{status}");
    }
    for header in ["x-api-key", "cookie"] {
        let request = nobody.request(Method::GET, "/v1/tasks").header(header, &key);
        nobody.send(request).await.expect_problem(StatusCode::UNAUTHORIZED, "auth.required");
    }
    nobody
        .post("/v1/auth/refresh", json!({ "refresh_token": key }))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    // One letter less, one letter else, upper case.
    let mut changed = key.clone();
    let last = if key.ends_with('0') { "1" } else { "0" };
    changed.replace_range(key.len() - 1.., last);
    for wrong in [&key[..key.len() - 1], &changed, &key.to_uppercase(), "ghl_", "ghl_x_y"] {
        let client = Client {
            token: Some(wrong.to_owned()),
            ..nobody.clone()
        };
        client
            .get("/v1/tasks")
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "auth.token_invalid");
    }

    let listed = ada.get("/v1/api-keys").await.expect(StatusCode::OK);
    assert_eq!(listed.items().len(), 1);
    assert!(
        listed.items()[0]["last_used_at"].is_string(),
        "noted at once, for the process may end: {listed:#?}"
    );
    let (prefix, secret) = key.rsplit_once('_').expect("parts");
    assert_eq!(listed.items()[0]["prefix"], prefix);
    assert!(!listed.text.contains(secret), "never again: {}", listed.text);
    let path = format!("/v1/api-keys/{id}");
    ada.patch_if(&path, 1, json!({ "name": "Weekly" })).await.expect(StatusCode::OK);
    app.register("eve").await.get(&path).await.expect(StatusCode::NOT_FOUND);
    ada.delete(&path).await.expect(StatusCode::NO_CONTENT);
    let stopped = async |program: &Client| {
        eventually("the refusal", || async {
            (program.get("/v1/tasks").await.status == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    };
    stopped(&program).await;

    let (_, program) = make(&ada, &["tasks:read"]).await;
    program.get("/v1/tasks").await.expect(StatusCode::OK);
    app.app.identity.lock_user(&ada.email).await.expect("locked");
    stopped(&program).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_17_a_replayed_answer_has_no_key_and_keys_have_their_own_rate() {
    let app = TestApp::start_with(|config| {
        config.http.rate_limits.enabled = true;
        config.http.rate_limits.api_key.requests = 3;
    })
    .await;
    let ada = app.register("ada").await;
    let request = || {
        ada.request(Method::POST, "/v1/api-keys")
            .header("idempotency-key", "one-key")
            .json(&json!({ "name": "Program", "scopes": ["tasks:read"], "current_password": PASSWORD }))
    };
    let first = ada.send(request()).await.expect(StatusCode::CREATED);
    let replay = ada.send(request()).await.expect(StatusCode::CREATED);
    assert_eq!(first.id(), replay.id(), "one key");
    assert!(first.body["key"].is_string() && replay.body.get("key").is_none(), "{replay:#?}");

    let program = Client {
        token: first.body["key"].as_str().map(str::to_owned),
        ..ada.clone()
    };
    for _ in 0..3 {
        let answer = program.get("/v1/tasks").await.expect(StatusCode::OK);
        assert!(answer.header("ratelimit-policy").expect("a policy").starts_with("\"api_key\";q=3"));
    }
    program.get("/v1/tasks").await.expect(StatusCode::TOO_MANY_REQUESTS);
    ada.get("/v1/tasks").await.expect(StatusCode::OK);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_17_every_route_is_closed_to_keys_unless_the_document_names_its_scope() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let all: Vec<&str> = kernel::scopes::Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let (_, program) = make(&ada, &all).await;
    let document = app.anonymous().get("/openapi.json").await.expect(StatusCode::OK).body;
    let mut closed = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let security = operation["security"].as_array().cloned().unwrap_or_default();
            let public = security.iter().any(|one| one == &json!({}));
            let scoped = security
                .iter()
                .any(|one| one.get("api_key").is_some_and(|scopes| *scopes != Value::Null));
            if public || scoped {
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let path = path.replace('{', "0198c1f2-a7c4-7d0b-9a35-e3a1c4f0b6d2").replace('}', "");
            let request = program.request(method.clone(), &path).header("content-type", "application/json");
            let answer = program.send(request.body("{}")).await;
            let refused = answer.status == StatusCode::FORBIDDEN || answer.status == StatusCode::NOT_FOUND;
            assert!(refused, "{method} {path}: {answer:#?}");
            closed += 1;
        }
    }
    assert!(closed > 15, "{closed}");
    app.stop().await;
}
