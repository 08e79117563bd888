//! A clock that is set forward and back while people work: nobody is signed out, nothing is delivered twice, nothing stops.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use testkit::FixedClock;

use crate::crash::all_items;
use crate::support::{Client, PASSWORD, TestApp, eventually, join};

const HOUR: u64 = 3_600;

/// As a client does it: once the access token is refused, with the refresh token.
async fn come_back(person: &mut Client) {
    let nobody = Client {
        token: None,
        ..person.clone()
    };
    let answer = nobody.post("/v1/auth/refresh", json!({ "refresh_token": person.refresh })).await;
    let tokens = answer.expect(StatusCode::OK).body;
    let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    (person.token, person.refresh) = (Some(text("access_token")), text("refresh_token"));
    person.get("/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_signs_nobody_out_and_doubles_nothing() {
    let clock = FixedClock::default();
    let app = TestApp::start_at(&clock).await;
    let (mut ada, mut bob) = (app.register("ada").await, app.register("bob").await);
    let key = json!({ "name": "Program", "scopes": ["tasks:read"], "current_password": PASSWORD });
    let key = ada.post("/v1/api-keys", key).await.expect(StatusCode::CREATED).body;
    let program = Client {
        token: key["key"].as_str().map(str::to_owned),
        ..ada.clone()
    };
    let workspace = ada.workspace("Clocks").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let project = ada.project(&workspace, "TICK").await;
    let tasks = format!("/v1/projects/{project}/tasks");
    let mut made = 0;

    // Forward, back behind the start, far forward, home again: less than sessions live, more than anything else does.
    for (forward, hours) in [(true, 2), (false, 5), (true, 7 * 24), (false, 9 * 24), (true, 50), (false, 1)] {
        let by = Duration::from_secs(hours * HOUR);
        let now = kernel::Clock::now(&clock);
        clock.set(if forward { now.plus(by) } else { now.minus(by) });
        come_back(&mut ada).await;
        come_back(&mut bob).await;
        program.get(&tasks).await.expect(StatusCode::OK);
        for _ in 0..3 {
            let body = json!({ "title": "Wind the clock", "assignee_ids": [bob.user_id] });
            ada.post(&tasks, body).await.expect(StatusCode::CREATED);
            made += 1;
        }
        // What was due and told before the jump goes on after it.
        let counts = eventually("the notifications", || async {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for item in all_items(&bob, "/v1/notifications?limit=200").await {
                if item["kind"] == "task.assigned" {
                    *counts.entry(item["task_id"].as_str().expect("a task").to_owned()).or_default() += 1;
                }
            }
            (counts.len() >= made).then_some(counts)
        })
        .await;
        assert!(counts.len() == made && counts.values().all(|count| *count == 1), "{counts:?}");
        let signed_in = app.sign_in("bob@example.com").await;
        signed_in.get("/v1/me").await.expect(StatusCode::OK);
        // What waited for a moment looks hours old after a jump, until it is relayed.
        eventually("readiness", || async {
            let ready = reqwest::get(format!("{}/readyz", app.base)).await.expect("an answer");
            (ready.status() == StatusCode::OK).then_some(())
        })
        .await;
    }
    let mut mails: Vec<String> = app.mails().into_iter().map(|mail| mail.message_id).collect();
    let all = mails.len();
    mails.sort();
    mails.dedup();
    assert_eq!(mails.len(), all, "a mail was sent twice");
    app.stop().await;
}
