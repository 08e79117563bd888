//! Workspaces, invitations and projects as a client sees them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, join};

async fn act(client: &Client, path: &str) -> Answer {
    client.send(client.request(Method::POST, path)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_made_changed_deleted_and_restored() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let made = ada
        .post(
            "/v1/workspaces",
            json!({ "name": " Acme Inc. ", "time_zone": "Europe/Berlin", "settings": { "default_role": "viewer" } }),
        )
        .await
        .expect(StatusCode::CREATED);
    let path = format!("/v1/workspaces/{}", made.id());
    assert_eq!((made.header("location"), made.header("etag")), (Some(path.as_str()), Some("\"1\"")));
    assert_eq!((&made.body["name"], &made.body["slug"]), (&json!("Acme Inc."), &json!("acme-inc")));
    assert_eq!(
        made.body["settings"],
        json!({ "strict_concurrency": false, "default_role": "viewer" })
    );

    let cached = ada.send(ada.request(Method::GET, &path).header("if-none-match", "\"1\"")).await;
    assert_eq!((cached.status, cached.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    ada.patch(&path, json!({ "name": "Acme" }))
        .await
        .expect_problem(StatusCode::PRECONDITION_REQUIRED, "request.if_match_required");
    ada.patch_if(&path, 7, json!({ "name": "Acme" }))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    let patch = ada
        .request(Method::PATCH, &path)
        .header("if-match", "\"1\"")
        .header("content-type", "application/merge-patch+json")
        .body(json!({ "name": "Acme", "description": "We make *everything*", "settings": { "strict_concurrency": true } }).to_string());
    let changed = ada.send(patch).await.expect(StatusCode::OK);
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let cleared = ada.patch_if(&path, 2, json!({ "description": null })).await.expect(StatusCode::OK);
    assert!(cleared.body.get("description").is_none(), "{cleared:#?}");

    ada.delete(&path)
        .await
        .expect_problem(StatusCode::PRECONDITION_REQUIRED, "request.if_match_required");
    ada.delete_if(&path, 3).await.expect(StatusCode::NO_CONTENT);
    ada.get(&path)
        .await
        .expect_problem(StatusCode::NOT_FOUND, "workspaces.workspace.not_found");
    assert!(ada.get("/v1/workspaces").await.items().is_empty());
    let deleted = ada.get("/v1/workspaces?state=deleted").await.expect(StatusCode::OK);
    assert!(deleted.items()[0]["purge_at"].is_string(), "{deleted:#?}");
    act(&ada, &format!("{path}/restore")).await.expect(StatusCode::OK);
    act(&ada, &format!("{path}/restore"))
        .await
        .expect_problem(StatusCode::CONFLICT, "workspaces.workspace.not_deleted");
    let own = ada.get("/v1/workspaces").await.expect(StatusCode::OK);
    assert_eq!(
        (&own.items()[0]["role"], &own.items()[0]["sales_role"]),
        (&json!("owner"), &json!("admin"))
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_problem_is_named_at_once() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let bad = json!({ "name": "\u{1}", "slug": "-", "time_zone": "Mars/Base", "description": "\u{7}" });
    let answer = ada
        .post("/v1/workspaces", bad)
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    let pointers: Vec<_> = answer.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| error["pointer"].clone())
        .collect();
    assert_eq!(pointers, ["/name", "/slug", "/description", "/time_zone"]);
    ada.workspace("Acme").await;
    let taken = ada.post("/v1/workspaces", json!({ "name": "X", "slug": "acme" })).await;
    let taken = taken.expect_problem(StatusCode::CONFLICT, "workspaces.workspace.slug_taken");
    assert_eq!(taken.body["errors"][0]["pointer"], "/slug");
    for query in ["limit=0", "limit=201", "limit=x", "state=gone", "unknown=1", "cursor=abc"] {
        let answer = ada.get(&format!("/v1/workspaces?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {answer:#?}");
    }
    for id in ["x", "00000000-0000-7000-8000-000000000000"] {
        ada.get(&format!("/v1/workspaces/{id}")).await.expect(StatusCode::NOT_FOUND);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_by_invitation_get_roles_and_go() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let members = ada.get(&format!("/v1/workspaces/{workspace}/members")).await.expect(StatusCode::OK);
    let seen: Vec<_> = members
        .items()
        .iter()
        .map(|item| (&item["person"]["name"], &item["role"]))
        .collect();
    assert_eq!(seen, [(&json!("ada"), &json!("owner")), (&json!("bob"), &json!("collaborator"))]);

    let path = format!("/v1/workspaces/{workspace}/members/{}", bob.user_id);
    let member = bob.get(&path).await.expect(StatusCode::OK);
    assert_eq!(member.header("etag"), Some("\"1\""));
    ada.patch_if(&path, 1, json!({ "role": "owner", "sales_role": "agent" }))
        .await
        .expect(StatusCode::OK);
    let transfer = format!("/v1/workspaces/{workspace}/transfer");
    let to_bob = json!({ "user_id": bob.user_id });
    ada.post(&transfer, to_bob.clone())
        .await
        .expect_problem(StatusCode::PRECONDITION_REQUIRED, "request.if_match_required");
    let with = |tag: &str| ada.request(Method::POST, &transfer).header("if-match", tag).json(&to_bob);
    ada.send(with("\"999\""))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    let read = ada.get(&format!("/v1/workspaces/{workspace}")).await.expect(StatusCode::OK);
    let tag = read.header("etag").expect("a tag");
    ada.send(with(tag)).await.expect(StatusCode::OK);
    ada.patch_if(&path, 2, json!({ "role": "viewer" }))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "workspaces.role.too_low");
    let left = act(&ada, &format!("/v1/workspaces/{workspace}/leave")).await.expect(StatusCode::OK);
    assert_eq!(left.body["role"], "collaborator");
    ada.get(&path).await.expect(StatusCode::NOT_FOUND);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_seen_declined_resent_and_revoked() {
    let app = TestApp::start_with(|config| config.workspaces.resend_seconds = 1).await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Acme").await;
    let path = format!("/v1/workspaces/{workspace}/invitations");
    let issued = ada
        .post(&path, json!({ "email": "carl@example.com", "role": "viewer" }))
        .await
        .expect(StatusCode::CREATED);
    let mail = app.mail("carl@example.com", |_| true).await;
    assert_eq!(mail.subject, "ada invites you to Acme");
    let read = ada.get(&format!("{path}/{}", issued.id())).await.expect(StatusCode::OK);
    assert!(read.header("etag").is_some());
    assert_eq!(read.header("etag"), issued.header("etag"));
    let token = token_in(&mail.text);
    let nobody = app.anonymous();
    let preview = nobody.get(&format!("/v1/invitations/{token}")).await.expect(StatusCode::OK);
    assert_eq!(preview.body["workspace_name"], "Acme");
    assert_eq!(preview.body["invited_by"], "ada");
    act(&nobody, &format!("/v1/invitations/{token}/acceptance"))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    act(&nobody, &format!("/v1/invitations/{token}/decline"))
        .await
        .expect(StatusCode::OK);
    nobody
        .get(&format!("/v1/invitations/{token}"))
        .await
        .expect_problem(StatusCode::GONE, "workspaces.invitation.ended");
    let state = ada.get(&format!("{path}/{}", issued.id())).await.expect(StatusCode::OK).body["state"].clone();
    assert_eq!(state, "declined");

    let link = ada
        .post(&path, json!({ "role": "viewer", "single_use": false }))
        .await
        .expect(StatusCode::CREATED);
    let token = link.body["token"].as_str().expect("a link has a token").to_owned();
    assert!(link.body["link"].as_str().expect("a link").ends_with(&token), "{link:#?}");
    let again = act(&ada, &format!("{path}/{}/resend", link.id())).await.expect(StatusCode::OK);
    assert_ne!(again.body["token"], token.as_str());
    act(&ada, &format!("{path}/{}/resend", link.id()))
        .await
        .expect(StatusCode::TOO_MANY_REQUESTS);
    nobody.get(&format!("/v1/invitations/{token}")).await.expect(StatusCode::NOT_FOUND);
    ada.delete(&format!("{path}/{}", link.id())).await.expect(StatusCode::NO_CONTENT);
    let new = again.body["token"].as_str().expect("a token");
    nobody.get(&format!("/v1/invitations/{new}")).await.expect(StatusCode::GONE);
    let open = ada.get(&format!("{path}?state=pending")).await.expect(StatusCode::OK);
    assert!(open.items().is_empty(), "{open:#?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_are_made_found_archived_and_shared() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &bob, "viewer").await;
    let project = ada.project(&workspace, "ABC").await;
    let path = format!("/v1/projects/{project}");
    let body = json!({ "workspace_id": workspace, "key": "ABC", "name": "Twice" });
    ada.post("/v1/projects", body)
        .await
        .expect_problem(StatusCode::CONFLICT, "workspaces.project.key_taken");
    let secret = json!({ "workspace_id": workspace, "key": "SEC", "name": "Secret", "private": true });
    let secret = ada.post("/v1/projects", secret).await.expect(StatusCode::CREATED).id();
    assert_eq!(keys(&bob.get("/v1/projects").await), ["ABC"]);
    bob.get(&format!("/v1/projects/{secret}"))
        .await
        .expect_problem(StatusCode::NOT_FOUND, "workspaces.project.not_found");
    bob.patch(&path, json!({ "name": "Mine" }))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "workspaces.role.too_low");

    let share = format!("/v1/projects/{secret}/members/{}", bob.user_id);
    let given = ada.put(&share, json!({ "role": "collaborator" })).await.expect(StatusCode::CREATED);
    assert_eq!(given.header("location"), Some(share.as_str()));
    assert_eq!(
        keys(&bob.get(&format!("/v1/projects?workspace_id={workspace}")).await),
        ["ABC", "SEC"]
    );
    ada.put(&share, json!({ "role": "viewer" }))
        .await
        .expect(StatusCode::PRECONDITION_REQUIRED);
    ada.patch_if(&share, 1, json!({ "role": "viewer" })).await.expect(StatusCode::OK);
    ada.delete_if(&share, 2).await.expect(StatusCode::NO_CONTENT);
    bob.get(&format!("/v1/projects/{secret}")).await.expect(StatusCode::NOT_FOUND);

    ada.mark(&format!("{path}/archive")).await.expect(StatusCode::OK);
    assert_eq!(keys(&ada.get("/v1/projects?state=archived").await), ["ABC"]);
    assert_eq!(keys(&ada.get("/v1/projects?state=active&q=secr").await), ["SEC"]);
    let active = ada.delete(&format!("{path}/archive")).await.expect(StatusCode::OK);
    assert_eq!(active.body["state"], "active");
    ada.delete(&path).await.expect(StatusCode::NO_CONTENT);
    ada.get(&path).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(keys(&ada.get("/v1/projects?state=deleted").await), ["ABC"]);
    act(&ada, &format!("{path}/restore")).await.expect(StatusCode::OK);
    app.stop().await;
}

fn keys(answer: &Answer) -> Vec<&Value> {
    answer.items().iter().map(|item| &item["key"]).collect()
}

pub fn token_in(text: &str) -> String {
    let (_, rest) = text.split_once("/v1/invitations/").expect("a link");
    rest.chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect()
}
