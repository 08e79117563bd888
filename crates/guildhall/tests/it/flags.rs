//! Feature flags over HTTP: administered at run time, evaluated by the OpenFeature Remote Evaluation Protocol, and counted by the
//! program itself.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, TestApp, eventually};

const BULK: &str = "/ofrep/v1/evaluate/flags";

async fn make(root: &Client, flag: Value) -> Answer {
    root.post("/v1/flags", flag).await.expect(StatusCode::CREATED)
}

async fn evaluate(client: &Client, key: &str, context: Value) -> Answer {
    client.post(&format!("{BULK}/{key}"), json!({ "context": context })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_is_evaluated_by_the_remote_evaluation_protocol() {
    let app = TestApp::start().await;
    let (root, ada, ben) = (app.administrator().await, app.register("ada").await, app.register("ben").await);
    let workspace = ada.workspace("Forge").await;
    let made = make(
        &root,
        json!({
            "key": "greeting", "kind": "string", "variants": { "plain": "Hello", "warm": "Welcome home" }, "default_variant": "plain",
            "rules": [
                { "workspace_ids": [workspace], "variant": "warm" },
                { "split": [{ "variant": "warm", "percent": 50 }, { "variant": "plain", "percent": 50 }] },
            ],
        }),
    )
    .await;
    assert_eq!(made.header("location"), Some("/v1/flags/greeting"));
    assert_eq!(made.header("etag"), Some("\"1\""));

    let found = evaluate(&ada, "greeting", json!({ "workspace_id": workspace }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        found.body,
        json!({ "key": "greeting", "value": "Welcome home", "reason": "TARGETING_MATCH", "variant": "warm", "metadata": { "flagSetId": "guildhall", "version": 1 } })
    );
    let split = evaluate(&ada, "greeting", json!({ "targetingKey": "user-1" }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(split.body["reason"], "SPLIT");
    let again = evaluate(&ben, "greeting", json!({ "targetingKey": "user-1" }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(again.body["value"], split.body["value"], "the same for whoever asks");

    // Errors have the protocol's form.
    let failure = |answer: &Answer| (answer.body["key"].clone(), answer.body["errorCode"].clone());
    for (key, context, status, code) in [
        ("greeting", json!({}), StatusCode::BAD_REQUEST, "TARGETING_KEY_MISSING"),
        ("nothing", json!({ "targetingKey": "x" }), StatusCode::NOT_FOUND, "FLAG_NOT_FOUND"),
        ("greeting", json!({ "targetingKey": 7 }), StatusCode::BAD_REQUEST, "INVALID_CONTEXT"),
        ("greeting", json!([1]), StatusCode::BAD_REQUEST, "INVALID_CONTEXT"),
    ] {
        let answer = evaluate(&ada, key, context).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(failure(&answer), (json!(key), json!(code)));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let stranger = evaluate(&ben, "greeting", json!({ "workspace_id": workspace, "targetingKey": "x" })).await;
    assert_eq!(failure(&stranger.expect(StatusCode::BAD_REQUEST)).1, "INVALID_CONTEXT");
    let broken = ada.request(Method::POST, &format!("{BULK}/greeting")).body("{");
    assert_eq!(failure(&ada.send(broken).await.expect(StatusCode::BAD_REQUEST)).1, "PARSE_ERROR");
    app.anonymous()
        .post(BULK, json!({}))
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "auth.required");

    // All at once, with a tag to poll by.
    make(&root, json!({ "key": "beta", "kind": "boolean" })).await;
    let bulk = ada
        .post(BULK, json!({ "context": { "workspace_id": workspace } }))
        .await
        .expect(StatusCode::OK);
    let keys: Vec<_> = bulk.body["flags"]
        .as_array()
        .expect("flags")
        .iter()
        .map(|flag| flag["key"].clone())
        .collect();
    assert_eq!(keys, ["beta", "greeting"]);
    let tag = bulk.header("etag").expect("a tag").to_owned();
    let poll = async |context: Value| {
        let request = ada.request(Method::POST, BULK).header("if-none-match", &tag);
        ada.send(request.json(&json!({ "context": context }))).await
    };
    let same = poll(json!({ "workspace_id": workspace })).await.expect(StatusCode::NOT_MODIFIED);
    assert_eq!(same.header("etag"), Some(tag.as_str()));
    poll(json!({ "targetingKey": "user-1" })).await.expect(StatusCode::OK);
    root.patch_if("/v1/flags/beta", 1, json!({ "default_variant": "on" }))
        .await
        .expect(StatusCode::OK);
    let changed = poll(json!({ "workspace_id": workspace })).await.expect(StatusCode::OK);
    assert_eq!(changed.body["flags"][0]["value"], true);
    let partly = ada.post(BULK, json!({})).await.expect(StatusCode::OK);
    assert_eq!(
        partly.body["flags"][1]["errorCode"], "TARGETING_KEY_MISSING",
        "beside the values of the others"
    );

    // A program with a key asks in the name of its owner, as far as its scopes reach.
    for (scope, status) in [("flags:read", StatusCode::OK), ("tasks:read", StatusCode::FORBIDDEN)] {
        let body = json!({ "name": "Robot", "scopes": [scope], "current_password": PASSWORD });
        let key = ada.post("/v1/api-keys", body).await.expect(StatusCode::CREATED);
        let robot = Client {
            token: Some(key.body["key"].as_str().expect("shown once").to_owned()),
            ..app.anonymous()
        };
        assert_eq!(evaluate(&robot, "beta", json!({})).await.status, status);
        robot
            .get("/v1/flags")
            .await
            .expect_problem(StatusCode::FORBIDDEN, "auth.api_key_refused");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_withholds_webhooks_by_a_flag_at_run_time_and_it_is_recorded() {
    let app = TestApp::start().await;
    let (root, ada) = (app.administrator().await, app.register("ada").await);
    let [pilot, other] = [ada.workspace("Pilot").await, ada.workspace("Other").await];
    let hook = async |workspace: &str| {
        let body = json!({ "url": "https://93.184.215.14/hook", "event_types": ["member.added"] });
        ada.post(&format!("/v1/workspaces/{workspace}/webhooks"), body).await
    };
    hook(&other).await.expect(StatusCode::CREATED);
    make(
        &root,
        json!({ "key": "webhooks.creation", "kind": "boolean", "rules": [{ "workspace_ids": [pilot], "variant": "on" }] }),
    )
    .await;
    hook(&pilot).await.expect(StatusCode::CREATED);
    hook(&other).await.expect_problem(StatusCode::FORBIDDEN, "webhooks.not_offered");
    root.patch_if("/v1/flags/webhooks.creation", 1, json!({ "rules": [], "default_variant": "on" }))
        .await
        .expect(StatusCode::OK);
    hook(&other).await.expect(StatusCode::CREATED);
    root.patch_if("/v1/flags/webhooks.creation", 1, json!({ "enabled": false }))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    root.delete("/v1/flags/webhooks.creation")
        .await
        .expect(StatusCode::PRECONDITION_REQUIRED);
    root.delete_if("/v1/flags/webhooks.creation", 2)
        .await
        .expect(StatusCode::NO_CONTENT);
    hook(&other).await.expect(StatusCode::CREATED);
    ada.post("/v1/flags", json!({ "key": "mine", "kind": "boolean" }))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "flags.admin_only");

    let log = eventually("the changes", || async {
        let answer = root.get("/v1/audit-log?action=flag.*").await.expect(StatusCode::OK);
        (answer.items().len() == 3).then(|| answer.items().clone())
    })
    .await;
    let told: Vec<_> = log
        .iter()
        .map(|entry| (entry["action"].clone(), entry["target"]["id"].clone()))
        .collect();
    assert_eq!(
        told,
        ["flag.deleted", "flag.updated", "flag.created"].map(|action| (json!(action), json!("webhooks.creation")))
    );
    assert_eq!(log[1]["changes"][0]["field"], "default_variant");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_are_made_once_paged_and_held_to_their_type() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let made = async |body: &Value| {
        let request = root.request(Method::POST, "/v1/flags").header("idempotency-key", "make-seats");
        root.send(request.json(body)).await
    };
    let seats = json!({ "key": "seats", "kind": "integer", "variants": { "few": 3.0, "many": 30 }, "default_variant": "few" });
    let first = made(&seats).await.expect(StatusCode::CREATED);
    assert_eq!(
        first.body["variants"],
        json!({ "few": 3, "many": 30 }),
        "a whole number, however it was written"
    );
    let again = made(&seats).await.expect(StatusCode::CREATED);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    root.post("/v1/flags", seats)
        .await
        .expect_problem(StatusCode::CONFLICT, "flags.flag.exists");

    for (body, pointer) in [
        (json!({ "variants": { "few": 0.5 } }), "/variants/few"),
        (json!({ "default_variant": "none" }), "/default_variant"),
        (
            json!({ "rules": [{ "workspace_ids": ["mine"], "variant": "few" }] }),
            "/rules/0/workspace_ids/0",
        ),
        (
            json!({ "rules": [{ "workspace_ids": [], "variant": "few" }] }),
            "/rules/0/workspace_ids",
        ),
        (
            json!({ "rules": [{ "split": [{ "variant": "few", "percent": "a" }] }] }),
            "/rules/0/split/0/percent",
        ),
        (
            json!({ "rules": [{ "split": [{ "variant": "few", "percent": 50 }] }] }),
            "/rules/0/split",
        ),
        (json!({ "rules": [{ "country": "SE", "variant": "few" }] }), "/rules/0/country"),
        (json!({ "kind": "boolean" }), "/kind"),
    ] {
        let refused = root.patch_if("/v1/flags/seats", 1, body.clone()).await;
        let refused = refused.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}");
    }

    for key in ["Beta", "alpha"] {
        make(&root, json!({ "key": key, "kind": "boolean" })).await;
    }
    let page = root.get("/v1/flags?limit=2").await.expect(StatusCode::OK);
    let keys = |answer: &Answer| answer.items().iter().map(|flag| flag["key"].clone()).collect::<Vec<_>>();
    assert_eq!(keys(&page), ["Beta", "alpha"], "by the code of the letters on every engine");
    let cursor = page.body["next_cursor"].as_str().expect("more");
    let rest = root.get(&format!("/v1/flags?limit=2&cursor={cursor}")).await.expect(StatusCode::OK);
    assert_eq!((keys(&rest), &rest.body["next_cursor"]), (vec![json!("seats")], &Value::Null));
    for unknown in ["seats%20", "SEATS", "none"] {
        root.get(&format!("/v1/flags/{unknown}"))
            .await
            .expect_problem(StatusCode::NOT_FOUND, "flags.flag.not_found");
    }
    app.stop().await;
}
