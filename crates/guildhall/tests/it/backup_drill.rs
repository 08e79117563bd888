//! The restore drill: backups under full load, the server killed, every archive brought back and used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use testkit::TestServer;

use crate::backup::{Place, continue_on, json_of, run_on, text};
use crate::crash::{all_items, announced, create_until_it_dies, invite_and_accept};
use crate::process::{Server, free_port};
use crate::support::{Client, SCHEMAS, eventually};

const CREATORS: usize = 8;
const BACKUPS: usize = 3;

/// What a backup must hold: every task that was acknowledged before it began.
struct Taken {
    archive: std::path::PathBuf,
    acknowledged: Vec<String>,
}

struct Site {
    owner: Client,
    assignee: Client,
    workspace: String,
    project: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_under_load_come_back_whole_after_the_server_was_killed() {
    let database = TestServer::new(&SCHEMAS).await;
    let http = reqwest::Client::new();
    let mut server = Server::start(&database, free_port());
    server.ready(&http).await;
    let owner = server.anonymous(&http).register("owner").await;
    let assignee = server.anonymous(&http).register("assignee").await;
    let workspace = owner.workspace("Drill").await;
    invite_and_accept(&owner, &workspace, &assignee).await;
    let project = owner.project(&workspace, "DRILL").await;

    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let creators: Vec<_> = (0..CREATORS)
        .map(|_| {
            let create = create_until_it_dies(owner.clone(), project.clone(), assignee.user_id.clone(), acknowledged.clone());
            tokio::task::spawn(create)
        })
        .collect();
    let archives = tempfile::tempdir().expect("a folder");
    let mut taken = Vec::new();
    for number in 0..BACKUPS {
        // Each in the midst of new tasks.
        let so_far = acknowledged.lock().expect("no poison").len();
        let before = eventually("more tasks", || async {
            let now = acknowledged.lock().expect("no poison").clone();
            (now.len() > so_far + CREATORS).then_some(now)
        })
        .await;
        let archive = archives.path().join(format!("{number}.tar.zst"));
        let output = tokio::task::block_in_place(|| run_on(&database, &["backup", "--to", text(&archive), "--include-secret", "--json"]));
        let saved = json_of(&output, 0);
        println!(
            "backup {number}: {} rows, writers waited {} us",
            saved["rows"], saved["writers_waited_us"]
        );
        taken.push(Taken {
            archive,
            acknowledged: before,
        });
    }
    eventually("tasks after the last backup", || async {
        let now = acknowledged.lock().expect("no poison").len();
        (now > taken[BACKUPS - 1].acknowledged.len() + 5).then_some(())
    })
    .await;
    server.kill();
    for creator in creators {
        creator.await.expect("a creator ends with the server, not with a panic");
    }
    assert!(
        !taken[BACKUPS - 1].acknowledged.is_empty(),
        "nothing was written before the last backup"
    );

    let site = Site {
        owner,
        assignee,
        workspace,
        project,
    };
    for backup in &taken {
        let tasks = come_back(backup, &site, &http).await;
        println!("{tasks} tasks came back, {} acknowledged before", backup.acknowledged.len());
    }
}

/// Restores an archive, verifies it, starts the server there and counts; how many tasks there are.
async fn come_back(backup: &Taken, site: &Site, http: &reqwest::Client) -> usize {
    let report = json_of(&run_place(None, &["verify", "--from", text(&backup.archive), "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");
    let place = Place::new().await;
    json_of(&run_place(Some(&place), &["restore", "--from", text(&backup.archive), "--json"]), 0);
    let report = json_of(&run_place(Some(&place), &["verify", "--json"]), 0);
    assert_eq!(report["broken"], 0, "{report:#}");

    let server = place.serve(http).await;
    let owner = continue_on(&server.base, &site.owner).await;
    let assignee = continue_on(&server.base, &site.assignee).await;
    let path = format!("/v1/projects/{}/tasks?limit=200", site.project);
    let tasks: BTreeSet<String> = all_items(&owner, &path)
        .await
        .iter()
        .map(|task| task["id"].as_str().expect("an id").to_owned())
        .collect();
    for id in &backup.acknowledged {
        assert!(tasks.contains(id), "task {id}, acknowledged before the backup began, is not in it");
    }
    // No event was lost between the copies of two services, and none came that its own service knows nothing of.
    let notified = eventually("every notification", || async {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in all_items(&assignee, "/v1/notifications?limit=200").await {
            if item["kind"] == "task.assigned" {
                *counts.entry(item["task_id"].as_str().expect("a task").to_owned()).or_insert(0) += 1;
            }
        }
        (counts.len() >= tasks.len()).then_some(counts)
    })
    .await;
    let events = announced(&owner, &site.workspace, tasks.len()).await;
    assert_eq!(notified.keys().collect::<Vec<_>>(), tasks.iter().collect::<Vec<_>>());
    assert!(notified.values().all(|count| *count == 1), "{notified:?}");
    assert_eq!(events.keys().collect::<Vec<_>>(), tasks.iter().collect::<Vec<_>>());
    assert!(events.values().all(|count| *count == 1), "{events:?}");
    // And life goes on: the next number is given, not one that was given before.
    let next = owner.task(&site.project, "after the drill").await;
    assert_eq!(next["number"].as_u64(), Some(tasks.len() as u64 + 1));
    let found = owner.get("/v1/tasks?q=drill").await.expect(StatusCode::OK);
    assert_eq!(found.items().len(), 1);
    server.kill();
    tasks.len()
}

fn run_place(place: Option<&Place>, arguments: &[&str]) -> std::process::Output {
    tokio::task::block_in_place(|| match place {
        Some(place) => place.run(arguments),
        None => crate::process::guildhall().args(arguments).output().expect("the command runs"),
    })
}
