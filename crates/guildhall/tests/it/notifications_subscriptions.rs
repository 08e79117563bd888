//! Subscribing, muting and the daily digest over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, eventually, join};

const SETTINGS: &str = "/v1/notifications/settings";
const SUBSCRIPTIONS: &str = "/v1/notifications/subscriptions";

/// Ada's workspace with Bob in it and one project.
struct Stage {
    app: TestApp,
    ada: Client,
    bob: Client,
    project: String,
}

impl Stage {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let ada = app.register("ada").await;
        let bob = app.register("bob").await;
        let workspace = ada.workspace("Engine works").await;
        join(&app, &ada, &workspace, &bob, "collaborator").await;
        let project = ada.project(&workspace, "ENG").await;
        Self { app, ada, bob, project }
    }

    async fn task(&self, title: &str, assignees: &[&Client]) -> String {
        let ids: Vec<&str> = assignees.iter().map(|who| who.user_id.as_str()).collect();
        let path = format!("/v1/projects/{}/tasks", self.project);
        let body = json!({ "title": title, "assignee_ids": ids });
        self.ada.post(&path, body).await.expect(StatusCode::CREATED).id()
    }

    async fn comment(&self, task: &str, body: &str) {
        let path = format!("/v1/tasks/{task}/comments");
        self.ada.post(&path, json!({ "body": body })).await.expect(StatusCode::CREATED);
    }

    async fn choose(&self, subject: &str, level: &str) -> Value {
        let answer = self.bob.put(&format!("{SUBSCRIPTIONS}/{subject}"), json!({ "level": level })).await;
        answer.expect(StatusCode::OK).body
    }

    /// Kinds and titles of Bob's news about tasks, newest first, once there is one of `last`.
    async fn news_until(&self, last: &str) -> Vec<(String, String)> {
        eventually("the news", || async {
            let inbox = self.bob.get("/v1/notifications?limit=200").await.expect(StatusCode::OK);
            let text = |item: &Value, member: &str| item[member].as_str().unwrap_or_default().to_owned();
            let news: Vec<_> = inbox
                .items()
                .iter()
                .map(|item| (text(item, "kind"), text(item, "title")))
                .filter(|(kind, _)| kind.starts_with("task."))
                .collect();
            news.iter().any(|(_, title)| title == last).then_some(news)
        })
        .await
    }
}

fn news(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(kind, title)| ((*kind).to_owned(), (*title).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribing_brings_news_without_being_assigned_and_muting_takes_them_away() {
    let stage = Stage::new().await;
    let project = format!("projects/{}", stage.project);
    let view = stage.choose(&project, "subscribed").await;
    assert_eq!(
        (&view["subject"], &view["key"], &view["level"]),
        (&json!("project"), &json!("ENG"), &json!("subscribed"))
    );
    assert!(view.get("task_id").is_none());
    let gears = stage.task("Gears", &[]).await;
    stage.comment(&gears, "Have a look").await;
    // Within a task events come in order; the comment is the last.
    let told = eventually("both", || async {
        let told = stage.news_until("Gears").await;
        (told.len() == 2).then_some(told)
    })
    .await;
    assert_eq!(told, news(&[("task.commented", "Gears"), ("task.created", "Gears")]));

    stage.choose(&project, "muted").await;
    let wheels = stage.task("Wheels", &[&stage.bob]).await;
    stage.comment(&wheels, "Not for Bob").await;
    stage.comment(&wheels, &format!("@[Bob](user:{}) for you", stage.bob.user_id)).await;
    let told = eventually("the mention", || async {
        let told = stage.news_until("Wheels").await;
        (told[0].0 == "task.mentioned").then_some(told)
    })
    .await;
    assert_eq!(told[..2], news(&[("task.mentioned", "Wheels"), ("task.assigned", "Wheels")]));

    let watched = format!("tasks/{wheels}");
    let inherited = stage
        .bob
        .get(&format!("{SUBSCRIPTIONS}/{watched}"))
        .await
        .expect(StatusCode::OK)
        .body;
    assert!(inherited.get("level").is_none());
    assert_eq!(inherited["effective_level"], "muted");
    assert_eq!(stage.choose(&watched, "subscribed").await["effective_level"], "subscribed");
    stage.comment(&wheels, "Bob watches this one").await;
    eventually("the comment", || async {
        (stage.news_until("Wheels").await[0].0 == "task.commented").then_some(())
    })
    .await;

    let muted = stage.bob.get(&format!("{SUBSCRIPTIONS}?level=muted")).await.expect(StatusCode::OK);
    assert_eq!(muted.items().len(), 1);
    assert_eq!(muted.items()[0]["project_id"], stage.project.as_str());
    let all = stage.bob.get(SUBSCRIPTIONS).await.expect(StatusCode::OK);
    assert_eq!(
        all.items().iter().map(|item| &item["subject"]).collect::<Vec<_>>(),
        ["task", "project"]
    );
    for path in [&project, &project, &watched] {
        stage
            .bob
            .delete(&format!("{SUBSCRIPTIONS}/{path}"))
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    assert_eq!(stage.bob.get(SUBSCRIPTIONS).await.expect(StatusCode::OK).items().len(), 0);
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_22_what_one_cannot_read_one_cannot_subscribe_to() {
    let stage = Stage::new().await;
    let task = stage.task("Gears", &[]).await;
    let mallory = stage.app.register("mallory").await;
    for (path, code) in [
        (
            format!("{SUBSCRIPTIONS}/projects/{}", stage.project),
            "notifications.project.not_found",
        ),
        (format!("{SUBSCRIPTIONS}/tasks/{task}"), "notifications.task.not_found"),
        // An id of the other kind is an id of nothing.
        (format!("{SUBSCRIPTIONS}/projects/{task}"), "notifications.project.not_found"),
    ] {
        let body = json!({ "level": "subscribed" });
        mallory.get(&path).await.expect_problem(StatusCode::NOT_FOUND, code);
        mallory.put(&path, body).await.expect_problem(StatusCode::NOT_FOUND, code);
        mallory.delete(&path).await.expect_problem(StatusCode::NOT_FOUND, code);
    }
    for (body, pointer) in [
        (json!({}), "/level"),
        (json!({ "level": "loud" }), "/level"),
        (json!({ "level": "muted", "user_id": mallory.user_id }), "/user_id"),
    ] {
        let path = format!("{SUBSCRIPTIONS}/projects/{}", stage.project);
        let refused = stage.bob.put(&path, body).await;
        let refused = refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{refused:#?}");
    }
    for query in ["?level=loud", "?limit=0", "?limit=201", "?cursor=x", "?colour=red"] {
        stage
            .bob
            .get(&format!("{SUBSCRIPTIONS}{query}"))
            .await
            .expect(StatusCode::BAD_REQUEST);
    }
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_daily_digest_no_mail_comes_at_once() {
    let stage = Stage::new().await;
    let bob = &stage.bob;
    let read = bob.get(SETTINGS).await.expect(StatusCode::OK);
    let tag = read.header("etag").expect("a tag").to_owned();
    let again = bob.request(Method::GET, SETTINGS).header("if-none-match", &tag);
    bob.send(again).await.expect(StatusCode::NOT_MODIFIED);
    bob.patch_if(SETTINGS, 999, json!({ "digest_hour": 9 }))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    let same = bob
        .request(Method::PATCH, SETTINGS)
        .header("if-match", &tag)
        .json(&json!({ "digest_hour": 8 }));
    assert_eq!(bob.send(same).await.expect(StatusCode::OK).header("etag"), Some(tag.as_str()));
    let defaults = read.body;
    assert_eq!(defaults, json!({ "email_mode": "immediate", "digest_hour": 8, "time_zone": "UTC" }));
    bob.patch("/v1/me", json!({ "time_zone": "Asia/Tokyo" })).await;
    let request = bob
        .request(Method::PATCH, SETTINGS)
        .header("content-type", "application/merge-patch+json")
        .body(r#"{"email_mode": "daily"}"#);
    let daily = bob.send(request).await.expect(StatusCode::OK).body;
    assert_eq!(daily, json!({ "email_mode": "daily", "digest_hour": 8, "time_zone": "Asia/Tokyo" }));
    for (body, pointer) in [
        (json!({ "digest_hour": 24 }), "/digest_hour"),
        (json!({ "digest_hour": "eight" }), "/digest_hour"),
        (json!({ "email_mode": "weekly" }), "/email_mode"),
        (json!({ "time_zone": "UTC" }), "/time_zone"),
    ] {
        let refused = bob.patch(SETTINGS, body).await;
        let refused = refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{refused:#?}");
    }
    stage.task("Waits for the digest", &[bob]).await;
    let next = eventually("the digest", || async {
        let settings = bob.get(SETTINGS).await.expect(StatusCode::OK).body;
        settings["next_digest_at"].as_str().map(str::to_owned)
    })
    .await;
    assert!(next.ends_with("T23:00:00Z"), "eight in Tokyo: {next}");
    let moved = bob.patch(SETTINGS, json!({ "digest_hour": 9 })).await.expect(StatusCode::OK).body;
    assert!(
        moved["next_digest_at"].as_str().is_some_and(|at| at.ends_with("T00:00:00Z")),
        "{moved}"
    );
    let reset = bob
        .patch(SETTINGS, json!({ "email_mode": null, "digest_hour": null }))
        .await
        .expect(StatusCode::OK)
        .body;
    assert_eq!((&reset["email_mode"], &reset["digest_hour"]), (&json!("immediate"), &json!(8)));
    stage.task("Comes at once", &[bob]).await;
    stage.app.mail(&bob.email, |mail| mail.subject.contains("Comes at once")).await;
    assert!(stage.app.mails().iter().all(|mail| !mail.subject.contains("Waits for the digest")));
    stage.app.stop().await;
}
