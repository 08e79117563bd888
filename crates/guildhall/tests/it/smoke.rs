//! The thinnest path: sign up → workspace → project → task → event → notification.

use futures_util::future::join_all;
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
async fn a_link_for_one_makes_one_account() {
    let app = TestApp::start_with(|config| config.identity.registration = identity::Registration::Invite).await;
    let admin = app.administrator().await;
    let workspace = admin.workspace("By invitation").await;
    let link = async || {
        let path = format!("/v1/workspaces/{workspace}/invitations");
        let issued = admin.post(&path, json!({ "role": "viewer" })).await.expect(StatusCode::CREATED);
        issued.body["token"].as_str().expect("a token").to_owned()
    };
    let register = async |name: &str, token: &str| {
        let body = json!({ "email": format!("{name}@example.com"), "password": PASSWORD, "name": name, "invitation_token": token });
        app.anonymous().post("/v1/auth/register", body).await
    };
    let token = link().await;
    let names = ["p1", "p2", "p3", "p4", "p5", "p6"];
    let answers = join_all(names.map(|name| register(name, &token))).await;
    let made: Vec<usize> = (0..6).filter(|n| answers[*n].status == StatusCode::CREATED).collect();
    assert_eq!(made.len(), 1, "{answers:#?}");
    let refused = answers
        .iter()
        .filter(|answer| answer.body["code"] == "identity.registration.invitation_required");
    assert_eq!(refused.count(), 5, "{answers:#?}");
    register("late", &token)
        .await
        .expect_problem(StatusCode::FORBIDDEN, "identity.registration.invitation_required");
    register(names[made[0]], &token)
        .await
        .expect_problem(StatusCode::CONFLICT, "identity.email.taken");

    // One after the other, and only who registered comes in.
    let second = link().await;
    register("q1", &second).await.expect(StatusCode::CREATED);
    register("q2", &second).await.expect(StatusCode::FORBIDDEN);
    let [first, q1] = [names[made[0]], "q1"].map(|name| format!("{name}@example.com"));
    let (first, q1) = (app.sign_in(&first).await, app.sign_in(&q1).await);
    let accept = format!("/v1/invitations/{second}/acceptance");
    first
        .send(first.request(reqwest::Method::POST, &accept))
        .await
        .expect_problem(StatusCode::GONE, "workspaces.invitation.ended");
    q1.send(q1.request(reqwest::Method::POST, &accept))
        .await
        .expect(StatusCode::CREATED);
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
