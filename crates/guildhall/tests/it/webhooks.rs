//! Webhooks over HTTP, to receivers that behave and receivers that do not.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::process::{Server, free_port};
use crate::receiver::{Manner, Receiver, allow};
use crate::support::{Client, PASSWORD, SCHEMAS, TestApp, eventually, join};

async fn make(owner: &Client, workspace: &str, receiver: &Receiver, event_types: &[&str]) -> Value {
    let body = json!({ "url": receiver.url(), "event_types": event_types });
    let path = format!("/v1/workspaces/{workspace}/webhooks");
    let answer = owner.post(&path, body).await.expect(StatusCode::CREATED);
    let place = format!("{path}/{}", answer.id());
    assert_eq!(answer.header("location"), Some(place.as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.body
}

fn path(webhook: &Value) -> String {
    let part = |name: &str| webhook[name].as_str().expect("an id").to_owned();
    format!("/v1/workspaces/{}/webhooks/{}", part("workspace_id"), part("id"))
}

async fn deliveries(owner: &Client, webhook: &Value) -> Vec<Value> {
    let answer = owner.get(&format!("{}/deliveries", path(webhook))).await;
    answer.expect(StatusCode::OK).items().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_event_to_a_verified_message_and_its_log() {
    let receiver = Receiver::start(Manner::Answers(202)).await;
    let app = TestApp::start_with(|config| allow(config, &[&receiver])).await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Hooks").await;
    let webhook = make(&ada, &workspace, &receiver, &["task.created", "member.*"]).await;
    let secret = webhook["secret"].as_str().expect("shown once").to_owned();
    let project = ada.project(&workspace, "HOOK").await;
    let task = ada.task(&project, "Ring the bell").await;

    let heard = eventually("the message", || async { receiver.of_type("task.created").pop() }).await;
    assert!(heard.is_signed_with(&secret));
    let event = heard.json();
    assert_eq!((&event["subject"], &event["data"]["title"]), (&task["id"], &json!("Ring the bell")));
    assert_eq!(
        (event["id"].as_str(), event["actorid"].as_str()),
        (Some(heard.id.as_str()), Some(ada.user_id.as_str()))
    );
    assert!(event.get("actor").is_none() && event.get("requestid").is_none());
    // project.created is not wanted. (That the owner became a member may be told after the webhook was made.)
    assert!(receiver.of_type("project.created").is_empty());

    let delivered = eventually("the log", || async {
        deliveries(&ada, &webhook)
            .await
            .into_iter()
            .find(|delivery| delivery["state"] == "delivered")
    })
    .await;
    assert_eq!((&delivered["last_status"], &delivered["attempts"]), (&json!(202), &json!(1)));
    let place = format!("{}/deliveries/{}", path(&webhook), delivered["id"].as_str().expect("an id"));
    let detail = ada.get(&place).await.expect(StatusCode::OK).body;
    assert_eq!(detail["payload"], event);
    assert_eq!(detail["attempt_log"][0]["response"], "heard\n");

    // The test button, and once more what arrived.
    let tested = ada.send(ada.request(Method::POST, &format!("{}/test", path(&webhook)))).await;
    let tested = tested.expect(StatusCode::ACCEPTED);
    assert!(tested.header("location").is_some_and(|place| place.ends_with(&tested.id())));
    let test = eventually("the test message", || async { receiver.of_type("webhook.test").pop() }).await;
    assert!(test.is_signed_with(&secret));
    ada.send(ada.request(Method::POST, &format!("{place}/replay")))
        .await
        .expect(StatusCode::ACCEPTED);
    eventually("the replay", || async {
        (receiver.of_type("task.created").len() == 2).then_some(())
    })
    .await;
    assert!(receiver.of_type("task.created").iter().all(|again| again.id == heard.id));

    // Both secrets sign after a rotation.
    let rotation = ada
        .send(ada.request(Method::POST, &format!("{}/secret-rotation", path(&webhook))))
        .await;
    let rotated = rotation.expect(StatusCode::OK);
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    ada.task(&project, "Ring it again").await;
    let heard = eventually("the message", || async { receiver.of_type("task.created").into_iter().nth(2) }).await;
    assert!(heard.is_signed_with(&secret) && heard.is_signed_with(rotated.body["secret"].as_str().expect("shown once")));
    let shown = ada.get(&path(&webhook)).await.expect(StatusCode::OK);
    assert!(shown.body.get("secret").is_none());
    assert_eq!(shown.header("etag"), Some("\"2\""));

    // Switched off, nothing is sent; deleted, nothing is left.
    let off = ada
        .patch_if(&path(&webhook), 2, json!({ "enabled": false }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(off.body["disabled_reason"], "manual");
    ada.patch_if(&path(&webhook), 2, json!({ "enabled": true }))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    ada.send(ada.request(Method::POST, &format!("{}/test", path(&webhook))))
        .await
        .expect_problem(StatusCode::CONFLICT, "webhooks.webhook.disabled");
    ada.delete(&path(&webhook)).await.expect(StatusCode::NO_CONTENT);
    ada.get(&path(&webhook))
        .await
        .expect_problem(StatusCode::NOT_FOUND, "webhooks.webhook.not_found");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_misbehave_keep_nobody_else_waiting() {
    let bad = [
        (Manner::Hangs, json!("timeout"), Value::Null),
        (Manner::Drips, json!("timeout"), Value::Null),
        (Manner::Resets, json!("protocol_error"), Value::Null),
        (Manner::Babbles, json!("protocol_error"), Value::Null),
        (Manner::Redirects, Value::Null, json!(307)),
        (Manner::Answers(500), Value::Null, json!(500)),
    ];
    let mut receivers = Vec::new();
    for (manner, ..) in &bad {
        receivers.push(Receiver::start(*manner).await);
    }
    let (good, gone) = (
        Receiver::start(Manner::Answers(200)).await,
        Receiver::start(Manner::Answers(410)).await,
    );
    let app = TestApp::start_with(|config| {
        let all: Vec<&Receiver> = receivers.iter().chain([&good, &gone]).collect();
        allow(config, &all);
        config.webhooks.timeout_seconds = 1;
        // Fewer places than receivers that hang or fail.
        config.webhooks.concurrency = 4;
    })
    .await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Hooks").await;
    let mut webhooks = Vec::new();
    for receiver in &receivers {
        webhooks.push(make(&ada, &workspace, receiver, &["task.created"]).await);
    }
    let gone_webhook = make(&ada, &workspace, &gone, &["task.created"]).await;
    let good_webhook = make(&ada, &workspace, &good, &["task.created"]).await;
    let project = ada.project(&workspace, "HOOK").await;
    for number in 0..5 {
        ada.task(&project, &format!("Task {number}")).await;
    }
    let started = Instant::now();
    eventually("all messages of the good receiver", || async {
        (good.heard().len() == 5).then_some(())
    })
    .await;
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "the good receiver waited {:?}",
        started.elapsed()
    );
    for (webhook, (manner, error, status)) in webhooks.iter().zip(&bad) {
        let tried = eventually("an attempt", || async {
            deliveries(&ada, webhook)
                .await
                .into_iter()
                .find(|delivery| delivery["attempts"] != 0)
        })
        .await;
        assert_eq!(tried["state"], "pending", "{manner:?}: {tried:#}");
        assert_eq!((&tried["last_error"], &tried["last_status"]), (error, status), "{manner:?}");
        assert!(tried["next_attempt_at"].is_string(), "{tried:#}");
    }
    // 410: switched off, and its owner knows.
    eventually("the end of the gone webhook", || async {
        let webhook = ada.get(&path(&gone_webhook)).await.body;
        (webhook["enabled"] == false && webhook["disabled_reason"] == "gone").then_some(())
    })
    .await;
    app.mail("ada@example.com", |mail| mail.subject.contains("switched off")).await;
    // A receiver that has come round gets what it missed, five seconds after the failure.
    receivers[5].behave(Manner::Answers(200));
    let missed = async || {
        deliveries(&ada, &webhooks[5])
            .await
            .iter()
            .filter(|delivery| delivery["state"] != "delivered")
            .count()
    };
    for _ in 0..100 {
        if missed().await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(missed().await, 0);
    let healthy = ada.get(&path(&good_webhook)).await.body;
    assert!(
        healthy.get("failing_since").is_none() && healthy["last_success_at"].is_string(),
        "{healthy:#}"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_28_no_webhook_leads_inside() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Hooks").await;
    let webhooks = format!("/v1/workspaces/{workspace}/webhooks");
    for (url, code) in [
        ("https://127.0.0.1/", "address_not_allowed"),
        ("https://localhost/", "address_not_allowed"),
        ("https://2130706433/", "address_not_allowed"),
        ("https://0x7f.1/", "address_not_allowed"),
        ("https://[::1]/", "address_not_allowed"),
        ("https://[::ffff:10.0.0.1]/", "address_not_allowed"),
        ("https://169.254.169.254/latest/meta-data/", "address_not_allowed"),
        ("https://10.1.2.3/", "address_not_allowed"),
        ("https://0.0.0.0:8080/", "address_not_allowed"),
        ("http://example.com/", "https_required"),
        ("https://example.com:5432/", "port_not_allowed"),
        ("https://user:secret@example.com/", "invalid_url"),
        ("https://example.com/#x", "invalid_url"),
        ("file:///etc/passwd", "invalid_url"),
        ("gopher://127.0.0.1/", "invalid_url"),
    ] {
        let answer = ada.post(&webhooks, json!({ "url": url, "event_types": ["*"] })).await;
        let answer = answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        let errors = &answer.body["errors"];
        assert_eq!(
            (&errors[0]["pointer"], &errors[0]["code"]),
            (&json!("/url"), &json!(code)),
            "{url}: {errors:#}"
        );
    }
    assert_eq!(ada.get(&webhooks).await.items().len(), 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_makes_one_webhook_and_shows_no_secret_again() {
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let app = TestApp::start_with(|config| allow(config, &[&receiver])).await;
    let (ada, ben) = (app.register("ada").await, app.register("ben").await);
    let workspace = ada.workspace("Hooks").await;
    join(&app, &ada, &workspace, &ben, "collaborator").await;
    let webhooks = format!("/v1/workspaces/{workspace}/webhooks");
    let ask = async || {
        let body = json!({ "url": receiver.url(), "event_types": ["*"] });
        let request = ada.request(Method::POST, &webhooks).header("idempotency-key", "once").json(&body);
        ada.send(request).await.expect(StatusCode::CREATED)
    };
    let (first, second) = (ask().await, ask().await);
    assert!(first.body["secret"].is_string());
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!((second.id(), second.body.get("secret")), (first.id(), None));
    assert_eq!(ada.get(&webhooks).await.items().len(), 1);
    ben.get(&webhooks).await.expect_problem(StatusCode::FORBIDDEN, "webhooks.forbidden");
    // The invitation of a person is for those who may see it: the owner's webhook gets it, with the address.
    let invitations = format!("/v1/workspaces/{workspace}/invitations");
    let body = json!({ "email": "new@example.com", "role": "viewer" });
    ada.post(&invitations, body).await.expect(StatusCode::CREATED);
    let heard = eventually("the invitation", || async { receiver.of_type("invitation.created").pop() }).await;
    assert_eq!(heard.json()["data"]["email"], "new@example.com");
    app.stop().await;
}

/// After an answer that got lost, and with a button that is pressed again and again.
#[tokio::test(flavor = "multi_thread")]
async fn no_rotation_takes_away_the_secret_that_the_receiver_has() {
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let app = TestApp::start_with(|config| allow(config, &[&receiver])).await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Hooks").await;
    let webhook = make(&ada, &workspace, &receiver, &["project.created"]).await;
    let rotation = format!("{}/secret-rotation", path(&webhook));
    let secret_of = |body: &Value| body["secret"].as_str().expect("shown once").to_owned();
    let keyed = async || {
        let request = ada.request(Method::POST, &rotation).header("idempotency-key", "q");
        ada.send(request).await.expect(StatusCode::OK).body
    };
    let mut live = vec![secret_of(&webhook), secret_of(&keyed().await)];
    assert_eq!(keyed().await.get("secret"), None);
    let press = async || {
        let answer = ada.send(ada.request(Method::POST, &rotation)).await;
        secret_of(&answer.expect(StatusCode::OK).body)
    };
    let (one, two, three) = tokio::join!(press(), press(), press());
    live.extend([one, two, three]);
    ada.project(&workspace, "HOOK").await;
    let heard = eventually("the message", || async { receiver.heard().pop() }).await;
    assert_eq!(heard.signature.split(' ').count(), live.len(), "{heard:#?}");
    assert!(live.iter().all(|secret| heard.is_signed_with(secret)), "{heard:#?}");

    press().await;
    ada.send(ada.request(Method::POST, &rotation))
        .await
        .expect_problem(StatusCode::CONFLICT, "webhooks.webhook.too_many_secrets");
    // One of them leaked.
    let ended = ada
        .post(&rotation, json!({ "expire_old_secrets": true }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(ended.body.get("old_secret_expires_at"), None);
    ada.project(&workspace, "HALL").await;
    let heard = eventually("the next message", || async { receiver.heard().into_iter().nth(1) }).await;
    assert_eq!(heard.signature.split(' ').count(), 1, "{heard:#?}");
    assert!(heard.is_signed_with(&secret_of(&ended.body)));
    app.stop().await;
}

/// A process that dies between request and note sends the message again, with the same id.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_survives_the_death_of_its_sender() {
    let receiver = Receiver::start(Manner::Hangs).await;
    let database = testkit::TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    // The address is part of what tokens are good for, so the successor takes over the port.
    let port = free_port();
    let start = || {
        Server::start_with(&database, port, |command| {
            command
                .env("GUILDHALL_LOG__LEVEL", "error")
                .env("GUILDHALL_EGRESS__ALLOW", "127.0.0.0/8")
                .env("GUILDHALL_EGRESS__ALLOW_HTTP", "true")
                .env("GUILDHALL_EGRESS__PORTS", receiver.port.to_string())
                // The lease of the dead process outlives this by half a minute.
                .env("GUILDHALL_WEBHOOKS__TIMEOUT_SECONDS", "2");
        })
    };
    let mut server = start();
    server.ready(&http).await;
    let nobody = Client {
        base: server.base.clone(),
        http: http.clone(),
        token: None,
        refresh: String::new(),
        user_id: String::new(),
        email: String::new(),
    };
    let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
    let registered = nobody.post("/v1/auth/register", body).await.expect(StatusCode::CREATED);
    let ada = Client {
        token: registered.body["access_token"].as_str().map(str::to_owned),
        ..nobody
    };
    let workspace = ada.workspace("Hooks").await;
    let webhook = make(&ada, &workspace, &receiver, &["project.created"]).await;
    ada.project(&workspace, "HOOK").await;
    let first = eventually("the first attempt", || async { receiver.heard().pop() }).await;
    server.kill();
    receiver.behave(Manner::Answers(200));
    server = start();
    server.ready(&http).await;
    let mut log = Vec::new();
    for _ in 0..240 {
        log = deliveries(&ada, &webhook).await;
        if log.iter().all(|delivery| delivery["state"] == "delivered") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(log.len(), 1, "{log:#?}");
    assert_eq!(log[0]["state"], "delivered", "{log:#?}");
    let heard = receiver.heard();
    assert!(heard.len() >= 2 && heard.iter().all(|again| again.id == first.id), "{heard:#?}");
    server.kill();
}
