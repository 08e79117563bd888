//! Live events over HTTP: delivery, resume, limits, and every reason to end a stream.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::process::{Server, free_port};
use crate::support::{Client, DRAIN, SCHEMAS, TestApp, eventually, join};

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    event: String,
    id: Option<String>,
    data: Value,
}

/// A minimal client of server-sent events.
struct Live {
    response: reqwest::Response,
    buffer: String,
}

impl Live {
    async fn open(client: &Client, workspace: &str, last_event_id: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, &format!("/v1/events?workspace_id={workspace}"));
        request = request.header("accept", "text/event-stream").header("accept-encoding", "gzip, br");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// The next message, comments left out; `None` when the server closed the stream.
    async fn next(&mut self) -> Option<Message> {
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            while let Some(end) = self.buffer.find("\n\n") {
                let block: String = self.buffer.drain(..end + 2).collect();
                let field = |name: &str| {
                    let value = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                    value.map(|value| value.trim_start().to_owned())
                };
                if let Some(data) = field("data") {
                    return Some(Message {
                        event: field("event").unwrap_or_default(),
                        id: field("id"),
                        data: serde_json::from_str(&data).expect("JSON"),
                    });
                }
            }
            let left = limit.saturating_duration_since(Instant::now());
            let chunk = tokio::time::timeout(left, self.response.chunk()).await.expect("a message in time");
            self.buffer.push_str(std::str::from_utf8(&chunk.ok()??).expect("UTF-8"));
        }
    }

    /// The next message of this kind; others are passed over.
    async fn wait_for(&mut self, event: &str) -> Message {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("the stream ended before {event}"));
            assert_ne!(message.event, "end", "{message:?}");
            if message.event == event {
                return message;
            }
        }
    }

    /// Reads to the end; why the server ended it.
    async fn end(&mut self) -> String {
        let mut last = None;
        while let Some(message) = self.next().await {
            last = Some(message);
        }
        let last = last.expect("a last message");
        assert_eq!(last.event, "end", "{last:?}");
        last.data["reason"].as_str().expect("a reason").to_owned()
    }
}

async fn refused(client: &Client, path: &str, origin: Option<&str>) -> crate::support::Answer {
    let mut request = client.request(Method::GET, path);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    client.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_live_and_a_reconnect_misses_nothing() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Engine works").await;
    let project = ada.project(&workspace, "ENG").await;
    let mut live = Live::open(&ada, &workspace, None).await;
    let headers = live.response.headers().clone();
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(header("content-encoding"), "", "compression would hold events back");
    assert_eq!(live.next().await.map(|message| message.event).as_deref(), Some("ready"));

    let task = ada.task(&project, "Polish the gears").await;
    let created = live.wait_for("task.created").await;
    assert_eq!(created.data["type"], "task.created");
    assert_eq!(created.data["specversion"], "1.0");
    assert_eq!(created.data["subject"], task["id"]);
    assert_eq!(created.data["actorid"], ada.user_id.as_str());
    assert_eq!(created.data["workspaceid"], workspace.as_str());
    assert_eq!(created.data["data"]["title"], "Polish the gears");
    assert!(!created.data.to_string().contains("session"), "{}", created.data);
    drop(live);

    let missed: Vec<Value> = {
        let mut titles = Vec::new();
        for title in ["Oil them", "Mount them", "Test them"] {
            titles.push(ada.task(&project, title).await["id"].clone());
        }
        titles
    };
    let last = created.id.expect("an id");
    let mut resumed = Live::open(&ada, &workspace, Some(&last)).await;
    assert_eq!(resumed.next().await.map(|message| message.event).as_deref(), Some("ready"));
    for id in missed {
        assert_eq!(resumed.wait_for("task.created").await.data["subject"], id);
    }
    let mut lost = Live::open(&ada, &workspace, Some("999999")).await;
    assert_eq!(lost.next().await.map(|message| message.event).as_deref(), Some("reset"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_22_a_stream_shows_only_what_its_reader_may_see_and_ends_with_the_membership() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let bob = app.register("bob").await;
    let workspace = ada.workspace("Engine works").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let open = ada.project(&workspace, "OPEN").await;
    let body = json!({ "workspace_id": workspace, "key": "HID", "name": "Hidden", "private": true });
    let mut live = Live::open(&bob, &workspace, None).await;
    live.wait_for("ready").await;
    let hidden = ada.post("/v1/projects", body).await.expect(StatusCode::CREATED).id();
    ada.task(&hidden, "Not for Bob").await;
    ada.post(
        &format!("/v1/workspaces/{workspace}/invitations"),
        json!({ "email": "secret@example.com", "role": "viewer" }),
    )
    .await
    .expect(StatusCode::CREATED);
    let to_bob = json!({ "title": "For Bob", "assignee_ids": [bob.user_id] });
    let task = ada
        .post(&format!("/v1/projects/{open}/tasks"), to_bob)
        .await
        .expect(StatusCode::CREATED)
        .id();
    // Another person's inbox is nobody else's business, so Ada must not see Bob's.
    let mut seen = Vec::new();
    let all = loop {
        let message = live.next().await.expect("an open stream");
        if message.event == "notification.created" {
            assert_eq!(message.data["data"]["user_id"], bob.user_id.as_str());
        }
        seen.push(message);
        // Order is kept per subject only.
        let all = format!("{seen:?}");
        if all.contains(&task) && all.contains("task.assigned") {
            break all;
        }
    };
    assert!(!all.contains(&hidden) && !all.contains("secret@example.com"), "{all}");
    let mut of_ada = Live::open(&ada, &workspace, Some("0")).await;
    let mut of_all = Vec::new();
    let all = loop {
        of_all.push(of_ada.next().await.expect("an open stream"));
        let all = format!("{of_all:?}");
        if [task.as_str(), &hidden, "secret@example.com"]
            .into_iter()
            .all(|text| all.contains(text))
        {
            break all;
        }
    };
    let inboxes = of_all.iter().filter(|message| message.event == "notification.created");
    assert!(
        inboxes
            .into_iter()
            .all(|message| message.data["data"]["user_id"] == ada.user_id.as_str()),
        "{all}"
    );

    let member = format!("/v1/workspaces/{workspace}/members/{}", bob.user_id);
    let tag = ada
        .get(&member)
        .await
        .expect(StatusCode::OK)
        .header("etag")
        .expect("an ETag")
        .to_owned();
    let begun = Instant::now();
    ada.send(ada.request(Method::DELETE, &member).header("if-match", tag))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(live.end().await, "access_lost");
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "at once, not at the next check: {:?}",
        begun.elapsed()
    );
    refused(&bob, &format!("/v1/events?workspace_id={workspace}"), None)
        .await
        .expect_problem(StatusCode::NOT_FOUND, "notifications.workspace.not_found");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_14_signing_out_ends_the_sessions_streams_and_no_others() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let second = app.sign_in(&ada.email).await;
    let workspace = ada.workspace("Engine works").await;
    let project = ada.project(&workspace, "ENG").await;
    let mut first_live = Live::open(&ada, &workspace, None).await;
    let mut second_live = Live::open(&second, &workspace, None).await;
    first_live.wait_for("ready").await;
    second_live.wait_for("ready").await;
    let begun = Instant::now();
    let answer = ada.post("/v1/auth/sign-out", json!({ "refresh_token": ada.refresh })).await;
    assert!(answer.status.is_success(), "{answer:#?}");
    assert_eq!(first_live.end().await, "access_lost");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    second.task(&project, "Still here").await;
    second_live.wait_for("task.created").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_27_foreign_pages_cannot_watch() {
    let app = TestApp::start_with(|config| config.http.cors_origins = vec!["https://app.example.com".to_owned()]).await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Engine works").await;
    let path = format!("/v1/events?workspace_id={workspace}");
    for origin in ["https://evil.example.com", "null", "https://app.example.com.evil.example.com"] {
        refused(&ada, &path, Some(origin))
            .await
            .expect_problem(StatusCode::FORBIDDEN, "notifications.stream.origin_not_allowed");
    }
    let allowed = ada
        .request(Method::GET, &path)
        .header("origin", "https://app.example.com")
        .send()
        .await
        .expect("an answer");
    assert_eq!(allowed.status(), StatusCode::OK);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_too_many_streams_are_refused() {
    let app = TestApp::start_with(|config| {
        config.notifications.max_streams_per_user = 2;
        config.notifications.max_streams = 3;
    })
    .await;
    let ada = app.register("ada").await;
    let mallory = app.register("mallory").await;
    let workspace = ada.workspace("Engine works").await;
    let own = mallory.workspace("Elsewhere").await;
    let path = format!("/v1/events?workspace_id={workspace}");
    refused(&app.anonymous(), &path, None)
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "auth.required");
    refused(&mallory, &path, None)
        .await
        .expect_problem(StatusCode::NOT_FOUND, "notifications.workspace.not_found");
    refused(&ada, "/v1/events", None)
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.query_invalid");

    let first = Live::open(&ada, &workspace, None).await;
    let _second = Live::open(&ada, &workspace, None).await;
    let many = refused(&ada, &path, None)
        .await
        .expect_problem(StatusCode::TOO_MANY_REQUESTS, "notifications.stream.too_many");
    assert!(many.header("retry-after").is_some());
    let _third = Live::open(&mallory, &own, None).await;
    let full = refused(&mallory, &format!("/v1/events?workspace_id={own}"), None).await;
    full.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "notifications.stream.unavailable");
    drop(first);
    eventually("a free place", || async {
        let response = ada.request(Method::GET, &path).send().await.expect("an answer");
        (response.status() == StatusCode::OK).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_do_not_hold_up_the_end_of_the_process() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Engine works").await;
    let mut live = Live::open(&ada, &workspace, None).await;
    live.wait_for("ready").await;
    let begun = Instant::now();
    let (reason, ()) = tokio::join!(live.end(), app.stop());
    assert_eq!(reason, "restart");
    assert!(
        begun.elapsed() < DRAIN / 2,
        "the drain ended before its limit: {:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_beats_at_its_interval() {
    let app = TestApp::start_with(|config| config.notifications.heartbeat_seconds = 1).await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Engine works").await;
    let mut live = Live::open(&ada, &workspace, None).await;
    live.wait_for("ready").await;
    let (begun, mut beats, mut text) = (Instant::now(), 0, String::new());
    while beats < 3 {
        let chunk = tokio::time::timeout(Duration::from_secs(10), live.response.chunk());
        let chunk = chunk.await.expect("a beat in time").expect("a live stream").expect("not the end");
        text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        beats = text
            .split_inclusive("\n\n")
            .filter(|block| block.starts_with(':') && block.ends_with("\n\n"))
            .count();
    }
    // On a slow machine the news of the workspace itself may still be on its way.
    let other = text
        .split_terminator("\n\n")
        .find(|block| !block.starts_with(':') && !block.contains("event: member.added"));
    assert_eq!(other, None, "comments only");
    let elapsed = begun.elapsed();
    assert!(
        (Duration::from_millis(2_500)..Duration::from_secs(8)).contains(&elapsed),
        "three beats a second apart took {elapsed:?}"
    );
    app.stop().await;
}

/// The position of a client means the same to the next process.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_resumes_across_a_restart_of_the_binary() {
    let database = testkit::TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let port = free_port();
    let mut server = Server::start(&database, port);
    server.ready(&http).await;
    let ada = server.anonymous(&http).register("ada").await;
    let workspace = ada.workspace("Engine works").await;
    let project = ada.project(&workspace, "ENG").await;
    let mut live = Live::open(&ada, &workspace, None).await;
    live.wait_for("ready").await;
    let first = ada.task(&project, "Polish the gears").await;
    let seen = live.wait_for("task.created").await;
    assert_eq!(seen.data["subject"], first["id"]);
    let mut missed = Vec::new();
    for title in ["Oil them", "Mount them"] {
        missed.push(ada.task(&project, title).await["id"].clone());
    }
    let (reason, status) = tokio::join!(live.end(), async { tokio::task::spawn_blocking(move || server.terminate()).await });
    assert_eq!(reason, "restart");
    assert!(status.expect("it ends").success());

    let mut server = Server::start(&database, port);
    server.ready(&http).await;
    missed.push(ada.task(&project, "Test them").await["id"].clone());
    let mut resumed = Live::open(&ada, &workspace, seen.id.as_deref()).await;
    assert_eq!(
        resumed.next().await.map(|message| message.event).as_deref(),
        Some("ready"),
        "no reset"
    );
    for id in missed {
        assert_eq!(resumed.wait_for("task.created").await.data["subject"], id);
    }
}
