//! The thinnest path: sign up → workspace → project → task → event → notification.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestApp, eventually, join};

#[tokio::test(flavor = "multi_thread")]
async fn from_sign_up_to_a_notification() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let bob = app.register("bob").await;
    let workspace = ada.workspace("Engine works").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let project = ada.project(&workspace, "ENG").await;
    let task = ada
        .post(
            &format!("/v1/projects/{project}/tasks"),
            json!({ "title": "Polish the gears", "assignee_ids": [bob.user_id] }),
        )
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(task.body["key"], "ENG-1");
    assert_eq!(task.header("location"), Some(format!("/v1/tasks/{}", task.id()).as_str()));

    let inbox = eventually("Bob's notification", || async {
        let inbox = bob.get("/v1/notifications?unread=true").await.expect(StatusCode::OK);
        inbox.items().iter().find(|item| item["kind"] == "task.assigned").cloned()
    })
    .await;
    assert_eq!(inbox["actor_id"], ada.user_id);
    // Never the actor.
    let own = ada.get("/v1/notifications").await.expect(StatusCode::OK);
    assert!(own.items().iter().all(|item| item["kind"] != "task.assigned"), "{own:#?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_registration_is_by_invitation_only_the_invited_come_in() {
    let app = TestApp::start_with(|config| config.identity.registration = identity::Registration::Invite).await;
    let admin = app.administrator().await;
    let workspace = admin.workspace("By invitation").await;
    let body = json!({ "email": "guest@example.com", "role": "viewer" });
    admin
        .post(&format!("/v1/workspaces/{workspace}/invitations"), body)
        .await
        .expect(StatusCode::CREATED);
    let mail = app.mail("guest@example.com", |mail| mail.text.contains("/invitations/")).await;
    let rest = &mail.text[mail.text.find("/invitations/").expect("a link") + "/invitations/".len()..];
    let token: String = rest
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();

    let register = async |email: &str, token: Value| {
        let body = json!({ "email": email, "password": PASSWORD, "name": "Guest", "invitation_token": token });
        app.anonymous().post("/v1/auth/register", body).await
    };
    register("guest@example.com", Value::Null).await.expect(StatusCode::FORBIDDEN);
    register("guest@example.com", json!("not-an-invitation"))
        .await
        .expect(StatusCode::FORBIDDEN);
    register("other@example.com", json!(token)).await.expect(StatusCode::FORBIDDEN);
    register("guest@example.com", json!(token)).await.expect(StatusCode::CREATED);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_needs_no_body() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    ada.send(ada.request(reqwest::Method::POST, "/v1/auth/sign-out"))
        .await
        .expect(StatusCode::NO_CONTENT);
    eventually("the end of the session", || async {
        (ada.get("/v1/me").await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let refresh = json!({ "refresh_token": ada.refresh });
    app.anonymous()
        .post("/v1/auth/refresh", refresh)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    app.stop().await;
}
