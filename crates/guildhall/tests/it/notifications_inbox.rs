//! The inbox over HTTP: who is told what, marking, dismissing, preferences, mails.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, eventually, join};

const PREFERENCES: &str = "/v1/notifications/preferences";

/// Ada's workspace with Bob in it and one project.
struct Stage {
    app: TestApp,
    ada: Client,
    bob: Client,
    workspace: String,
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
        Self {
            app,
            ada,
            bob,
            workspace,
            project,
        }
    }

    async fn assigned(&self, title: &str) -> String {
        let body = json!({ "title": title, "assignee_ids": [self.bob.user_id] });
        let path = format!("/v1/projects/{}/tasks", self.project);
        self.ada.post(&path, body).await.expect(StatusCode::CREATED).id()
    }

    /// Waits until a person has `count` notifications about tasks; newest first.
    async fn about_tasks(&self, who: &Client, count: usize) -> Vec<Value> {
        eventually("the notifications", || async {
            let inbox = who.get("/v1/notifications?limit=200").await.expect(StatusCode::OK);
            let items: Vec<Value> = inbox
                .items()
                .iter()
                .filter(|item| item["kind"].as_str().is_some_and(|kind| kind.starts_with("task.")))
                .cloned()
                .collect();
            (items.len() >= count).then_some(items)
        })
        .await
    }
}

async fn unread(client: &Client) -> u64 {
    let count = client.get("/v1/notifications/unread-count").await.expect(StatusCode::OK);
    count.body["unread"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_listed_counted_marked_and_dismissed() {
    let stage = Stage::new().await;
    let bob = &stage.bob;
    let task = stage.assigned("Polish the gears").await;
    let item = stage.about_tasks(bob, 1).await.remove(0);
    assert_eq!(item["kind"], "task.assigned");
    assert_eq!(item["task_id"], task.as_str());
    assert_eq!(item["task_key"], "ENG-1");
    assert_eq!(item["message"], "ada assigned ENG-1 Polish the gears to you");
    assert_eq!(item["workspace_id"], stage.workspace.as_str());

    let id = item["id"].as_str().expect("an id");
    let path = format!("/v1/notifications/{id}");
    let before = unread(bob).await;
    for _ in 0..2 {
        bob.mark(&format!("{path}/read")).await.expect(StatusCode::NO_CONTENT);
    }
    assert_eq!(unread(bob).await, before - 1);
    assert!(bob.get(&path).await.expect(StatusCode::OK).body["read_at"].is_string());
    let only_read = bob
        .get("/v1/notifications?unread=false&kind=task.assigned,task.mentioned")
        .await
        .expect(StatusCode::OK);
    assert_eq!(only_read.items().len(), 1);
    bob.delete(&format!("{path}/read")).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(unread(bob).await, before);

    bob.delete(&path).await.expect(StatusCode::NO_CONTENT);
    for answer in [
        bob.get(&path).await,
        bob.delete(&path).await,
        bob.mark(&format!("{path}/read")).await,
        stage.ada.get(&path).await,
    ] {
        answer.expect_problem(StatusCode::NOT_FOUND, "notifications.notification.not_found");
    }
    assert_eq!(unread(bob).await, before - 1);

    let mail = stage.app.mail(&bob.email, |mail| mail.subject.contains("Polish the gears")).await;
    assert!(mail.text.contains(&format!("/v1/tasks/{task}")), "{}", mail.text);
    // Every link leads to something that its reader can open.
    let links: Vec<&str> = mail.text.split_whitespace().filter(|word| word.starts_with("http://")).collect();
    assert_eq!(links.len(), 2, "{}", mail.text);
    for link in links {
        let path = link.splitn(4, '/').nth(3).expect("a path");
        bob.get(&format!("/{path}")).await.expect(StatusCode::OK);
    }
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marking_all_is_safe_to_repeat_and_stays_in_its_workspace() {
    let stage = Stage::new().await;
    let bob = &stage.bob;
    for title in ["One", "Two", "Three"] {
        stage.assigned(title).await;
    }
    stage.about_tasks(bob, 3).await;
    let other = bob
        .post("/v1/notifications/read-all", json!({ "workspace_id": bob.user_id }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(other.body["marked"], 0);
    let all = unread(bob).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = bob
            .request(Method::POST, "/v1/notifications/read-all")
            .header("idempotency-key", "all-1");
        answers.push(
            bob.send(request.json(&json!({ "workspace_id": stage.workspace })))
                .await
                .expect(StatusCode::OK),
        );
    }
    assert_eq!(answers[0].body, answers[1].body);
    assert!(
        answers[0].body["marked"]
            .as_u64()
            .is_some_and(|marked| marked >= 3 && marked <= all),
        "{answers:#?}"
    );
    assert_eq!(answers[1].header("idempotency-replayed"), Some("true"));
    let left = bob
        .get(&format!("/v1/notifications?unread=true&workspace_id={}", stage.workspace))
        .await
        .expect(StatusCode::OK);
    assert_eq!(left.items().len(), 0);
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_change_makes_one_notification_for_its_most_specific_reason() {
    let stage = Stage::new().await;
    let carol = stage.app.register("carol").await;
    join(&stage.app, &stage.ada, &stage.workspace, &carol, "collaborator").await;
    let task = stage.assigned("Polish the gears").await;
    let states = stage
        .ada
        .get(&format!("/v1/workspaces/{}/states", stage.workspace))
        .await
        .expect(StatusCode::OK);
    let done = states
        .items()
        .iter()
        .find(|state| state["status"] == "done")
        .expect("a state for done work");
    let change = json!({
        "title": "Polish all gears",
        "assignee_ids": [stage.bob.user_id, carol.user_id],
        "state_id": done["id"],
    });
    stage.ada.patch(&format!("/v1/tasks/{task}"), change).await.expect(StatusCode::OK);
    let comment = json!({ "body": format!("@[Carol](user:{}) look", carol.user_id) });
    stage
        .ada
        .post(&format!("/v1/tasks/{task}/comments"), comment)
        .await
        .expect(StatusCode::CREATED);

    let kinds = |items: &[Value]| -> Vec<String> {
        items
            .iter()
            .map(|item| item["kind"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    // The comment comes after the change in the order of the task, so once it is there, all is.
    assert_eq!(kinds(&stage.about_tasks(&carol, 2).await), ["task.mentioned", "task.assigned"]);
    assert_eq!(
        kinds(&stage.about_tasks(&stage.bob, 3).await),
        ["task.commented", "task.completed", "task.assigned"]
    );
    let ada = stage.ada.get("/v1/notifications").await.expect(StatusCode::OK);
    assert!(
        ada.items()
            .iter()
            .all(|item| !item["kind"].as_str().unwrap_or_default().starts_with("task.")),
        "never the actor: {ada:#?}"
    );
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_22_a_removed_member_sees_and_gets_nothing_of_the_workspace() {
    let stage = Stage::new().await;
    let (ada, bob) = (&stage.ada, &stage.bob);
    let task = stage.assigned("Polish the gears").await;
    stage.about_tasks(bob, 1).await;
    let member = format!("/v1/workspaces/{}/members/{}", stage.workspace, bob.user_id);
    let version = ada.get(&member).await.expect(StatusCode::OK);
    let tag = version.header("etag").expect("an ETag").to_owned();
    ada.send(ada.request(Method::DELETE, &member).header("if-match", tag))
        .await
        .expect(StatusCode::NO_CONTENT);

    let own: Vec<Value> = bob.get("/v1/notifications").await.expect(StatusCode::OK).items().clone();
    assert!(own.iter().all(|item| item["kind"] == "member.invited"), "{own:#?}");
    assert_eq!(unread(bob).await, own.len() as u64);
    ada.mark(&format!("/v1/tasks/{task}/completion")).await;
    // Ada, an owner, is not told of her own deed either; what is left to wait for is the relay.
    let carol = stage.app.register("carol").await;
    join(&stage.app, ada, &stage.workspace, &carol, "collaborator").await;
    let joined = eventually("news of Carol", || async {
        let inbox = ada.get("/v1/notifications?kind=member.added").await.expect(StatusCode::OK);
        inbox
            .items()
            .iter()
            .find(|item| item["message"] == "carol joined Engine works")
            .cloned()
    })
    .await;
    assert_eq!(joined["actor_id"], carol.user_id.as_str());
    assert_eq!(bob.get("/v1/notifications").await.expect(StatusCode::OK).items().len(), own.len());
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_and_role_changes_are_told() {
    let stage = Stage::new().await;
    let (ada, bob) = (&stage.ada, &stage.bob);
    let invited = eventually("the invitation", || async {
        let inbox = bob.get("/v1/notifications?kind=member.invited").await.expect(StatusCode::OK);
        inbox.items().first().cloned()
    })
    .await;
    assert_eq!(invited["message"], "ada invited you to Engine works");
    assert!(invited["invitation_id"].is_string());

    let member = format!("/v1/workspaces/{}/members/{}", stage.workspace, bob.user_id);
    let tag = ada
        .get(&member)
        .await
        .expect(StatusCode::OK)
        .header("etag")
        .expect("an ETag")
        .to_owned();
    let request = ada
        .request(Method::PATCH, &member)
        .header("if-match", tag)
        .json(&json!({ "role": "viewer" }));
    ada.send(request).await.expect(StatusCode::OK);
    let changed = eventually("the role change", || async {
        let inbox = bob.get("/v1/notifications?kind=member.role_changed").await.expect(StatusCode::OK);
        inbox.items().first().cloned()
    })
    .await;
    assert_eq!(changed["message"], "ada made you viewer in Engine works");
    assert_eq!(changed["role"], "viewer");
    stage.app.mail(&bob.email, |mail| mail.subject.contains("made you viewer")).await;
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_are_a_merge_patch_and_are_obeyed() {
    let stage = Stage::new().await;
    let bob = &stage.bob;
    let read = bob.get(PREFERENCES).await.expect(StatusCode::OK);
    assert!(read.header("etag").is_some());
    bob.patch_if(PREFERENCES, 999, json!({ "task.assigned": { "email": false } }))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    let defaults = read.body;
    assert_eq!(defaults["task.assigned"], json!({ "in_app": true, "email": true }));
    let request = bob
        .request(Method::PATCH, PREFERENCES)
        .header("content-type", "application/merge-patch+json")
        .body(r#"{"task.assigned": {"email": false}}"#);
    let changed = bob.send(request).await.expect(StatusCode::OK).body;
    assert_eq!(changed["task.assigned"], json!({ "in_app": true, "email": false }));
    assert_eq!(changed["task.mentioned"], defaults["task.mentioned"]);

    for (body, pointer) in [
        (json!({ "task.exploded": {} }), "/task.exploded"),
        (json!({ "task.assigned": { "sms": true } }), "/task.assigned/sms"),
        (json!({ "task.assigned": { "email": "yes" } }), "/task.assigned/email"),
        (json!({ "member.invited": { "email": true } }), "/member.invited/email"),
    ] {
        let refused = bob
            .patch(PREFERENCES, body)
            .await
            .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{refused:#?}");
    }

    stage.assigned("Not by mail").await;
    stage.about_tasks(bob, 1).await;
    let reset = bob
        .patch(PREFERENCES, json!({ "task.assigned": null }))
        .await
        .expect(StatusCode::OK)
        .body;
    assert_eq!(reset, defaults);
    stage.assigned("By mail again").await;
    stage.app.mail(&bob.email, |mail| mail.subject.contains("By mail again")).await;
    assert!(stage.app.mails().iter().all(|mail| !mail.subject.contains("Not by mail")));
    stage.app.stop().await;
}

/// Bob is mentioned in a task that is assigned to him; one switch after the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_reason_switched_off_does_not_hide_another_that_is_on() {
    let stage = Stage::new().await;
    let bob = &stage.bob;
    let both = json!({ "in_app": true, "email": true });
    let rounds = [
        (
            json!({ "in_app": false, "email": true }),
            both.clone(),
            "task.assigned",
            "mentioned you in",
        ),
        (json!({ "in_app": true, "email": false }), both.clone(), "task.mentioned", "to you"),
        (json!({ "in_app": false, "email": false }), both.clone(), "task.assigned", "to you"),
        (
            both.clone(),
            json!({ "in_app": false, "email": false }),
            "task.mentioned",
            "mentioned you in",
        ),
    ];
    for (number, (mentioned, assigned, kind, mailed)) in rounds.into_iter().enumerate() {
        let preferences = json!({ "task.mentioned": mentioned, "task.assigned": assigned });
        bob.patch(PREFERENCES, preferences).await.expect(StatusCode::OK);
        let title = format!("Gear number {number}");
        let body = json!({
            "title": title,
            "description": format!("@[Bob](user:{}) please", bob.user_id),
            "assignee_ids": [bob.user_id],
        });
        let path = format!("/v1/projects/{}/tasks", stage.project);
        stage.ada.post(&path, body).await.expect(StatusCode::CREATED);
        let inbox = stage.about_tasks(bob, number + 1).await;
        assert_eq!((inbox.len(), inbox[0]["kind"].as_str()), (number + 1, Some(kind)), "{inbox:#?}");
        let mail = stage.app.mail(&bob.email, |mail| mail.subject.contains(&title)).await;
        assert!(mail.subject.contains(mailed), "{}", mail.subject);
    }
    let mails = stage.app.mails();
    assert_eq!(
        mails.iter().filter(|mail| mail.subject.contains("Gear number")).count(),
        4,
        "one each"
    );
    stage.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_refused() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    app.anonymous()
        .get("/v1/notifications")
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "auth.required");
    for query in [
        "unread=maybe",
        "limit=0",
        "limit=201",
        "kind=task.exploded",
        "workspace_id=7",
        "since=yesterday",
    ] {
        ada.get(&format!("/v1/notifications?{query}"))
            .await
            .expect_problem(StatusCode::BAD_REQUEST, "request.query_invalid");
    }
    ada.get("/v1/notifications?cursor=AAAA")
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.cursor_invalid");
    ada.get("/v1/notifications?kind=").await.expect(StatusCode::OK);
    ada.get("/v1/notifications/seven").await.expect(StatusCode::NOT_FOUND);
    ada.post("/v1/notifications/read-all", json!({ "until": "now" }))
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    let wrong_method = ada
        .post("/v1/notifications", json!({}))
        .await
        .expect(StatusCode::METHOD_NOT_ALLOWED);
    assert!(
        wrong_method.header("allow").is_some_and(|allow| allow.contains("GET")),
        "{wrong_method:#?}"
    );
    app.stop().await;
}
