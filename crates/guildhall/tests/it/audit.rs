//! Audit logs over HTTP: from an action to its entry, for those it is for, as pages and as files.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::receiver::{Manner, Receiver, allow};
use crate::support::{Client, PASSWORD, TestApp, eventually, join};

/// Waits until the newest entries that match have all these actions, newest first.
async fn entries(client: &Client, path: &str, actions: &[&str]) -> Vec<Value> {
    eventually(&format!("{actions:?} in {path}"), || async {
        let answer = client.get(path).await.expect(StatusCode::OK);
        let found: Vec<&str> = answer.items().iter().filter_map(|entry| entry["action"].as_str()).collect();
        (found == actions).then(|| answer.items().clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_24_what_owners_do_is_in_the_log_of_the_workspace_with_who_and_from_where() {
    let app = TestApp::start().await;
    let (ada, ben) = (app.register("ada").await, app.register("ben").await);
    let workspace = ada.workspace("Forge").await;
    join(&app, &ada, &workspace, &ben, "collaborator").await;
    let project = ada.project(&workspace, "FRG").await;
    let log = format!("/v1/workspaces/{workspace}/audit-log");

    let request = ada
        .request(reqwest::Method::PATCH, &format!("/v1/workspaces/{workspace}"))
        .header("if-match", "*")
        .header("user-agent", "=Evil\u{e9}/1.0")
        .header("x-request-id", "renaming-1")
        .json(&json!({ "name": "Foundry", "settings": { "strict_concurrency": true } }));
    ada.send(request).await.expect(StatusCode::OK);
    let renamed = &entries(&ada, &format!("{log}?action=workspace.updated"), &["workspace.updated"]).await[0];
    assert_eq!(renamed["actor"]["user_id"], json!(ada.user_id));
    assert_eq!(renamed["actor"]["kind"], "user");
    assert_eq!(renamed["request_id"], "renaming-1");
    assert_eq!(renamed["address"], "127.0.0.1");
    assert_eq!(renamed["target"]["name"], "Foundry");
    assert_eq!(
        renamed["changes"],
        json!([
            { "field": "name", "before": "Forge", "after": "Foundry" },
            { "field": "settings.strict_concurrency", "before": false, "after": true },
        ])
    );

    ada.patch_if(
        &format!("/v1/workspaces/{workspace}/members/{}", ben.user_id),
        1,
        json!({ "role": "owner" }),
    )
    .await
    .expect(StatusCode::OK);
    let role = &entries(&ada, &format!("{log}?action=member.role_changed"), &["member.role_changed"]).await[0];
    assert_eq!(role["target"], json!({ "kind": "member", "id": ben.user_id, "name": "ben" }));
    assert_eq!(
        role["changes"],
        json!([{ "field": "role", "before": "collaborator", "after": "owner" }])
    );

    // A program with Ben's key acts as Ben, and the log says that it was the key.
    let body = json!({ "name": "Robot", "scopes": ["projects:write", "audit:read"], "current_password": PASSWORD });
    let key = ben.post("/v1/api-keys", body).await.expect(StatusCode::CREATED);
    let robot = Client {
        token: Some(key.body["key"].as_str().expect("shown once").to_owned()),
        ..app.anonymous()
    };
    // What was refused was not done, and is not in the log.
    robot
        .delete(&format!("/v1/projects/{project}"))
        .await
        .expect(StatusCode::PRECONDITION_REQUIRED);
    let request = robot
        .request(reqwest::Method::PUT, &format!("/v1/projects/{project}/archive"))
        .header("if-match", "*");
    robot.send(request).await.expect(StatusCode::OK);
    let archived = &entries(&robot, &format!("{log}?action=project.archived"), &["project.archived"]).await[0];
    assert_eq!(archived["actor"]["kind"], "api_key");
    assert_eq!(archived["actor"]["user_id"], json!(ben.user_id));
    assert_eq!(archived["actor"]["api_key_id"], key.body["id"]);

    // The whole story, oldest last.
    let story = [
        "project.archived",
        "member.role_changed",
        "workspace.updated",
        "project.created",
        "member.added",
        "invitation.created",
        "workspace.created",
    ];
    let whole = entries(&ada, &log, &story).await;
    let numbers: Vec<i64> = whole.iter().filter_map(|entry| entry["seq"].as_i64()).collect();
    assert_eq!(numbers, [7, 6, 5, 4, 3, 2, 1]);
    let by_ben = ada.get(&format!("{log}?actor={}", ben.user_id)).await.expect(StatusCode::OK);
    assert_eq!(by_ben.items().len(), 2, "joined and archived");

    // As a file, and the file is an entry itself.
    let csv = ada.get(&format!("{log}/export")).await.expect(StatusCode::OK);
    assert!(csv.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")));
    assert!(csv.header("content-disposition").is_some_and(|text| text.contains(".csv")));
    assert_eq!(csv.text.lines().count(), 8);
    assert!(
        csv.text.contains("'=Evil") || !csv.text.contains("=Evil"),
        "no formula: {}",
        csv.text
    );
    let jsonl = ada
        .get(&format!("{log}/export?format=jsonl&action=member.*"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(jsonl.text.lines().count(), 2);
    entries(
        &ada,
        &format!("{log}?action=audit_log.exported"),
        &["audit_log.exported", "audit_log.exported"],
    )
    .await;

    // What cannot be is refused, wherever it stands.
    for query in ["action=nothing", "limit=0", "limit=201", "colour=red", "actor=me", "from=yesterday"] {
        ada.get(&format!("{log}?{query}")).await.expect(StatusCode::BAD_REQUEST);
    }
    ada.get(&format!("{log}/export?format=xml")).await.expect(StatusCode::BAD_REQUEST);
    for method in [
        reqwest::Method::DELETE,
        reqwest::Method::PATCH,
        reqwest::Method::POST,
        reqwest::Method::PUT,
    ] {
        let answer = ada.send(ada.request(method, &log)).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "nobody changes a log");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_24_a_person_sees_what_happened_to_their_account_and_nobody_elses() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let wrong = json!({ "email": ada.email, "password": "not-the-password-at-all-1" });
    app.anonymous()
        .post("/v1/auth/sign-in", wrong)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let body = json!({ "name": "Robot", "scopes": ["tasks:read"], "current_password": PASSWORD });
    let key = ada.post("/v1/api-keys", body).await.expect(StatusCode::CREATED);
    ada.delete(&format!("/v1/api-keys/{}", key.id()))
        .await
        .expect(StatusCode::NO_CONTENT);
    let story = [
        "api_key.revoked",
        "api_key.created",
        "sign_in.failed",
        "sign_in.succeeded",
        "account.registered",
    ];
    let own = entries(&ada, "/v1/me/security-log", &story).await;
    assert_eq!(own[1]["target"]["name"], "Robot");
    assert_eq!(own[2]["actor"], json!({ "kind": "anonymous" }));
    assert_eq!(
        (&own[2]["address"], &own[2]["target"]["id"]),
        (&json!("127.0.0.1"), &json!(ada.user_id))
    );
    assert_eq!(own[3]["actor"]["user_id"], json!(ada.user_id), "who signs in did it");
    assert!(!own.iter().any(|entry| entry.to_string().contains("not-the-password")));

    let ben = app.register("ben").await;
    let bens = entries(&ben, "/v1/me/security-log", &["sign_in.succeeded", "account.registered"]).await;
    assert!(bens.iter().all(|entry| entry["target"]["id"] == json!(ben.user_id)));

    // The installation's log is for its administrators: accounts that came, failed sign-ins of nobody, what administrators do.
    let unknown = json!({ "email": "nobody@example.com", "password": "whatever-it-may-be-77" });
    app.anonymous()
        .post("/v1/auth/sign-in", unknown)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let root = app.administrator().await;
    root.mark(&format!("/v1/users/{}/lock", ben.user_id)).await;
    let locked = &entries(&root, "/v1/audit-log?action=account.locked", &["account.locked"]).await[0];
    assert_eq!(
        (&locked["actor"]["user_id"], &locked["target"]["id"]),
        (&json!(root.user_id), &json!(ben.user_id))
    );
    let failed = &entries(&root, "/v1/audit-log?action=sign_in.failed", &["sign_in.failed"]).await[0];
    assert_eq!(failed["target"], json!({ "kind": "account" }), "what was typed is not kept");
    let lines = root.get("/v1/audit-log/export?format=jsonl").await.expect(StatusCode::OK);
    assert!(lines.text.lines().count() >= 5, "{}", lines.text);
    ada.get("/v1/audit-log")
        .await
        .expect_problem(StatusCode::FORBIDDEN, "audit.admin_only");
    app.stop().await;
}

/// They learn who it was, and the installation's log from where.
#[tokio::test(flavor = "multi_thread")]
async fn sec_24_the_address_of_an_administrator_is_not_shown_to_those_they_act_on() {
    let app = TestApp::start().await;
    let (ben, root) = (app.register("ben").await, app.administrator().await);
    let path = format!("/v1/users/{}/lock", ben.user_id);
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE] {
        let request = root.request(method, &path).header("user-agent", "Console/9");
        root.send(request).await.expect(StatusCode::NO_CONTENT);
    }
    let ben = app.sign_in(&ben.email).await;
    for action in ["account.locked", "account.activated", "sessions.ended"] {
        let own = &entries(&ben, &format!("/v1/me/security-log?action={action}"), &[action]).await[0];
        assert_eq!(own["actor"]["user_id"], json!(root.user_id), "{own}");
        assert_eq!((own.get("address"), own.get("user_agent")), (None, None), "{own}");
    }
    for action in ["account.locked", "account.activated"] {
        let theirs = &entries(&root, &format!("/v1/audit-log?action={action}"), &[action]).await[0];
        assert_eq!(
            (&theirs["address"], &theirs["user_agent"]),
            (&json!("127.0.0.1"), &json!("Console/9")),
            "{theirs}"
        );
    }
    let twice = ["sign_in.succeeded", "sign_in.succeeded"];
    let own = entries(&ben, "/v1/me/security-log?action=sign_in.succeeded", &twice).await;
    assert!(own.iter().all(|entry| entry["address"] == json!("127.0.0.1")), "one's own is shown");
    app.stop().await;
}

/// The address of a client is for the log alone: it must not travel to other programs, nor to live streams.
#[tokio::test(flavor = "multi_thread")]
async fn sec_24_no_address_reaches_a_webhook() {
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let app = TestApp::start_with(|config| {
        allow(config, &[&receiver]);
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a net")];
    })
    .await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Forge").await;
    let body = json!({ "url": receiver.url(), "event_types": ["*"] });
    ada.post(&format!("/v1/workspaces/{workspace}/webhooks"), body)
        .await
        .expect(StatusCode::CREATED);
    let request = ada
        .request(reqwest::Method::POST, "/v1/projects")
        .header("x-forwarded-for", "203.0.113.77")
        .header("user-agent", "Spyglass/7")
        .json(&json!({ "workspace_id": workspace, "key": "SPY", "name": "Spy" }));
    ada.send(request).await.expect(StatusCode::CREATED);
    let log = format!("/v1/workspaces/{workspace}/audit-log?action=project.created");
    let made = &entries(&ada, &log, &["project.created"]).await[0];
    assert_eq!(
        (&made["address"], &made["user_agent"]),
        (&json!("203.0.113.77"), &json!("Spyglass/7"))
    );
    let heard = eventually("the event", || async { receiver.of_type("project.created").pop() }).await;
    for heard in std::iter::once(heard).chain(receiver.heard()) {
        let text = heard.json().to_string();
        assert!(
            !text.contains("203.0.113.77") && !text.contains("Spyglass") && !text.contains("action_recorded"),
            "{text}"
        );
    }
    app.stop().await;
}
