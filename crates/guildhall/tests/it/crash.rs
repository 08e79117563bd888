//! Tasks created at full speed, SIGKILL at random: every acknowledged task, its event and its
//! notification exist exactly once.
//!
//! `GUILDHALL_TEST_CRASHES` sets how often the server is killed (3 by default, 50 in the full run).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::process::{Server, free_port};
use crate::support::{Client, SCHEMAS, eventually};

/// Creators at work at the same time.
const CREATORS: usize = 8;

/// An invitation by link, accepted.
pub async fn invite_and_accept(owner: &Client, workspace: &str, guest: &Client) {
    let path = format!("/v1/workspaces/{workspace}/invitations");
    let answer = owner
        .post(&path, json!({ "role": "collaborator" }))
        .await
        .expect(StatusCode::CREATED);
    let token = answer.body["token"].as_str().unwrap_or_else(|| panic!("no token in {answer:#?}"));
    let accepted = guest
        .send(guest.request(Method::POST, &format!("/v1/invitations/{token}/acceptance")))
        .await;
    assert!(accepted.status.is_success(), "{accepted:#?}");
}

/// Creates tasks until the server dies; notes every acknowledged one.
pub async fn create_until_it_dies(owner: Client, project: String, assignee: String, acknowledged: Arc<Mutex<Vec<String>>>) {
    let path = format!("/v1/projects/{project}/tasks");
    loop {
        let body = json!({ "title": "made under fire", "assignee_ids": [assignee] });
        let Ok(response) = owner.request(Method::POST, &path).json(&body).send().await else {
            return;
        };
        let status = response.status();
        let Ok(body) = response.json::<serde_json::Value>().await else {
            return;
        };
        match status {
            StatusCode::CREATED => acknowledged
                .lock()
                .expect("no poison")
                .push(body["id"].as_str().expect("an id").to_owned()),
            StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(Duration::from_millis(5)).await,
            other => panic!("unexpected {other}: {body}"),
        }
    }
}

/// All items of a paged list.
pub async fn all_items(client: &Client, path: &str) -> Vec<serde_json::Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("{path}{cursor}")).await.expect(StatusCode::OK);
        items.extend(page.items().iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// How often `task.created` was announced per task, from the start of the live event log.
pub async fn announced(client: &Client, workspace: &str, wanted: usize) -> BTreeMap<String, usize> {
    use futures_util::StreamExt;
    let path = format!("/v1/events?workspace_id={workspace}");
    let response = client
        .request(Method::GET, &path)
        .header("last-event-id", "0")
        .send()
        .await
        .expect("a stream");
    assert_eq!(response.status(), StatusCode::OK);
    let mut counts = BTreeMap::new();
    let mut stream = response.bytes_stream();
    let mut buffer = String::new();
    // Quiet for two seconds after the last one means there are no more.
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(Duration::from_secs(2), stream.next()).await {
        buffer.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = buffer.find("\n\n") {
            let block: String = buffer.drain(..end + 2).collect();
            let data: String = block.lines().filter_map(|line| line.strip_prefix("data:")).collect();
            let Ok(event) = serde_json::from_str::<serde_json::Value>(&data) else {
                continue;
            };
            if event["type"] == "task.created" {
                *counts.entry(event["subject"].as_str().expect("a subject").to_owned()).or_insert(0) += 1;
            }
        }
        assert!(counts.len() <= wanted, "more tasks announced than exist");
    }
    counts
}

/// Every acknowledged task exists, numbers have no gap, and each task has one notification and one event. How many there are.
pub async fn account_for(owner: &Client, assignee: &Client, workspace: &str, project: &str, acknowledged: &[String]) -> usize {
    let mut tasks = BTreeMap::new();
    for task in all_items(owner, &format!("/v1/projects/{project}/tasks?limit=200")).await {
        assert!(
            tasks.insert(task["id"].as_str().expect("an id").to_owned(), task).is_none(),
            "a task is listed twice"
        );
    }
    for id in acknowledged {
        assert!(tasks.contains_key(id), "acknowledged task {id} is lost");
    }
    // Numbers without gaps: 1..=n, each once, killed or not.
    let mut numbers: Vec<i64> = tasks.values().map(|task| task["number"].as_i64().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=i64::try_from(tasks.len()).expect("small")).collect::<Vec<_>>());

    let notified = eventually("all notifications", || async {
        let items = all_items(assignee, "/v1/notifications?limit=200").await;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in items.iter().filter(|item| item["kind"] == "task.assigned") {
            *counts.entry(item["task_id"].as_str().expect("a task").to_owned()).or_insert(0) += 1;
        }
        (counts.len() >= tasks.len()).then_some(counts)
    })
    .await;
    let events = announced(owner, workspace, tasks.len()).await;
    for id in tasks.keys() {
        assert_eq!(notified.get(id), Some(&1), "notifications of task {id}");
        assert_eq!(events.get(id), Some(&1), "events of task {id}");
    }
    tasks.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let crashes: usize = std::env::var("GUILDHALL_TEST_CRASHES")
        .ok()
        .map_or(3, |text| text.parse().expect("a number"));
    let database = testkit::TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let port = free_port();
    let mut server = Server::start(&database, port);
    server.ready(&http).await;
    let owner = Client::anonymous(&server.base, &http).register("owner").await;
    let assignee = Client::anonymous(&server.base, &http).register("assignee").await;
    let workspace = owner.workspace("Crash site").await;
    invite_and_accept(&owner, &workspace, &assignee).await;
    let project = owner.project(&workspace, "CRASH").await;

    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..crashes {
        let creators: Vec<_> = (0..CREATORS)
            .map(|_| {
                tokio::task::spawn(create_until_it_dies(
                    owner.clone(),
                    project.clone(),
                    assignee.user_id.clone(),
                    acknowledged.clone(),
                ))
            })
            .collect();
        // Full speed first: a server that has just started opens connections and reads keys.
        let before = acknowledged.lock().expect("no poison").len();
        eventually("an acknowledged task", || async {
            (acknowledged.lock().expect("no poison").len() > before).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        server.kill();
        for creator in creators {
            creator.await.expect("a creator ends with the server, not with a panic");
        }
        server = Server::start(&database, port);
        server.ready(&http).await;
    }

    let acknowledged = acknowledged.lock().expect("no poison").clone();
    assert!(
        acknowledged.len() >= crashes,
        "only {} tasks in {crashes} rounds",
        acknowledged.len()
    );
    let tasks = account_for(&owner, &assignee, &workspace, &project, &acknowledged).await;
    println!("{} crashes, {} acknowledged, {} tasks in all", crashes, acknowledged.len(), tasks);
    server.kill();
    let report = crate::backup::json_of(&crate::backup::run_on(&database, &["verify", "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");
}
