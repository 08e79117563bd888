//! People at work while something goes wrong, and what they were told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::crash::{account_for, invite_and_accept};
use crate::process::Server;
use crate::support::Client;

/// How many create tasks, and how many read, at the same time.
const WRITERS: usize = 6;
const READERS: usize = 2;

/// What was answered so far.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Ids of created tasks.
    pub acknowledged: Vec<String>,
    /// Lists that were read.
    pub read: usize,
    /// Codes of the refusals of writes.
    pub refused: Vec<String>,
    /// The same of reads.
    pub unread: Vec<String>,
    /// Whatever a client must never see.
    pub odd: Vec<String>,
    /// The slowest answer since somebody looked.
    pub longest: Duration,
}

/// A workspace in which people create tasks and read them without a pause.
pub struct Load {
    pub owner: Client,
    assignee: Client,
    workspace: String,
    project: String,
    ledger: Arc<Mutex<Ledger>>,
    over: Arc<AtomicBool>,
    people: tokio::task::JoinSet<()>,
}

impl Load {
    pub async fn start(server: &Server, http: &reqwest::Client) -> Self {
        let owner = server.anonymous(http).register("owner").await;
        let assignee = server.anonymous(http).register("assignee").await;
        let workspace = owner.workspace("Drill").await;
        invite_and_accept(&owner, &workspace, &assignee).await;
        let project = owner.project(&workspace, "DRILL").await;
        let mut load = Self {
            owner,
            assignee,
            workspace,
            project,
            ledger: Arc::default(),
            over: Arc::default(),
            people: tokio::task::JoinSet::new(),
        };
        for person in 0..WRITERS + READERS {
            let (owner, ledger, over) = (load.owner.clone(), load.ledger.clone(), load.over.clone());
            let (project, assignee) = (load.project.clone(), load.assignee.user_id.clone());
            load.people.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let pause = if person < WRITERS {
                        write(&owner, &project, &assignee, &ledger).await
                    } else {
                        read(&owner, &project, &ledger).await
                    };
                    tokio::time::sleep(pause).await;
                }
            });
        }
        load
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no poison")
    }

    /// Waits until `more` tasks have been created since now.
    pub async fn goes_on(&self, more: usize) {
        let before = self.ledger().acknowledged.len();
        for _ in 0..1_200 {
            if self.ledger().acknowledged.len() >= before + more {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ledger = self.ledger();
        let (now, refused, last) = (ledger.acknowledged.len(), ledger.refused.len(), ledger.refused.last());
        panic!(
            "{before} tasks have become {now} in a minute, {refused} were refused: {last:?}; odd: {:?}",
            ledger.odd.last()
        );
    }

    /// The slowest answer since the last time somebody asked.
    pub fn longest(&self) -> Duration {
        std::mem::take(&mut self.ledger().longest)
    }

    /// Everybody stops. What they were promised is there, each once; how many tasks that is.
    pub async fn settle(mut self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.people.join_next().await {
            ended.expect("nobody panics");
        }
        let ledger = std::mem::take(&mut *self.ledger());
        assert!(
            ledger.odd.is_empty(),
            "{} odd answers: {:#?}",
            ledger.odd.len(),
            &ledger.odd[..ledger.odd.len().min(5)]
        );
        account_for(&self.owner, &self.assignee, &self.workspace, &self.project, &ledger.acknowledged).await
    }
}

async fn write(owner: &Client, project: &str, assignee: &str, ledger: &Mutex<Ledger>) -> Duration {
    let body = json!({ "title": "made in a drill", "description": "x".repeat(500), "assignee_ids": [assignee] });
    let request = owner.request(Method::POST, &format!("/v1/projects/{project}/tasks")).json(&body);
    let answer = ask(request, ledger).await;
    let mut ledger = ledger.lock().expect("no poison");
    match answer {
        Ok((StatusCode::CREATED, body)) => ledger.acknowledged.push(body["id"].as_str().expect("an id").to_owned()),
        Ok((StatusCode::SERVICE_UNAVAILABLE, body)) => {
            ledger.refused.push(body["code"].as_str().unwrap_or_default().to_owned());
            return Duration::from_millis(50);
        }
        other => ledger.odd.push(format!("{other:?}")),
    }
    // Not as fast as it can: what is being tried is not the speed.
    Duration::from_millis(10)
}

async fn read(owner: &Client, project: &str, ledger: &Mutex<Ledger>) -> Duration {
    let request = owner.request(Method::GET, &format!("/v1/projects/{project}/tasks?limit=5"));
    let answer = ask(request, ledger).await;
    let mut ledger = ledger.lock().expect("no poison");
    match answer {
        Ok((StatusCode::OK, _)) => ledger.read += 1,
        Ok((StatusCode::SERVICE_UNAVAILABLE, body)) => ledger.unread.push(body["code"].as_str().unwrap_or_default().to_owned()),
        other => ledger.odd.push(format!("{other:?}")),
    }
    Duration::from_millis(50)
}

/// Status and body. A refusal must be a problem that says when to come back.
async fn ask(request: reqwest::RequestBuilder, ledger: &Mutex<Ledger>) -> Result<(StatusCode, Value), String> {
    let begun = Instant::now();
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body: Value = response.json().await.map_err(|error| format!("{status}: {error:?}"))?;
    let mut ledger = ledger.lock().expect("no poison");
    ledger.longest = ledger.longest.max(begun.elapsed());
    if !status.is_success() {
        let told = headers.get("content-type").is_some_and(|kind| kind == "application/problem+json")
            && headers.contains_key("retry-after")
            && body["request_id"].is_string();
        if !told {
            ledger
                .odd
                .push(format!("{status} without Retry-After or problem: {headers:?} {body}"));
        }
    }
    Ok((status, body))
}

/// Asks until there is an answer; fails after so many seconds.
pub async fn within<T, F: Future<Output = Option<T>>>(seconds: u64, what: &str, mut ask: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(seconds), "{what}: not within {seconds} s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The status that `/livez` or `/readyz` answers, which they must do soon.
pub async fn probe(server: &Server, http: &reqwest::Client, path: &str) -> StatusCode {
    let request = http.get(format!("{}{path}", server.base)).timeout(Duration::from_secs(4));
    request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}")).status()
}
