//! The thinnest path: sign up → workspace → project → task → event → notification.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{TestApp, eventually, join};

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
