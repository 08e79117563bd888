//! What people and owners take with them: one archive, with what they may read and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use guildhall::compose::{self, DISCLOSED};
use platform::db::transfer::Transfer;
use platform::takeout::{Disclosure, Given, PLATFORM};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, config_for, eventually};
use crate::tasks_http::team;

/// The objects of each file, and the manifest.
async fn export(client: &Client, path: &str) -> (BTreeMap<String, Vec<Value>>, Value) {
    let response = client.request(Method::GET, path).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/zip");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let bytes = response.bytes().await.expect("the whole archive");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("a zip archive");
    let (mut files, mut manifest) = (BTreeMap::new(), Value::Null);
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("a file");
        let (name, mut text) = (file.name().expect("a name").into_owned(), String::new());
        file.read_to_string(&mut text).expect("text");
        if name == "manifest.json" {
            manifest = serde_json::from_str(&text).expect("JSON");
        } else {
            let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
            files.insert(name, lines.collect());
        }
    }
    (files, manifest)
}

fn ids(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().filter_map(|line| line["id"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_takes_the_whole_workspace_and_nobody_else_does() {
    let team = team().await;
    let (owner, bob) = (&team.owner, &team.bob);
    let private = owner
        .post(
            "/v1/projects",
            json!({ "workspace_id": team.workspace, "key": "SECRET", "name": "Secret", "private": true }),
        )
        .await
        .expect(StatusCode::CREATED);
    owner.task(&private.id(), "Hidden").await;
    let rows: String = (0..450).map(|n| format!("Task {n}\n")).collect();
    let import = format!("{}/import", team.tasks());
    bob.post(&import, json!({ "format": "csv", "content": format!("title\n{rows}") }))
        .await
        .expect(StatusCode::OK);
    let task = bob.task(&team.project, "Commented").await;
    let task = task["id"].as_str().unwrap();
    bob.post(&format!("/v1/tasks/{task}/comments"), json!({ "body": "Look" }))
        .await
        .expect(StatusCode::CREATED);
    owner
        .post(
            &format!("/v1/workspaces/{}/webhooks", team.workspace),
            json!({ "url": "https://93.184.215.14/hook", "event_types": ["member.added"] }),
        )
        .await
        .expect(StatusCode::CREATED);
    team.stranger
        .task(
            &team.stranger.project(&team.stranger.workspace("Third").await, "FAR").await,
            "Foreign",
        )
        .await;

    let path = format!("/v1/workspaces/{}/export", team.workspace);
    bob.get(&path)
        .await
        .expect_problem(StatusCode::FORBIDDEN, "workspaces.role.too_low");
    team.stranger
        .get(&path)
        .await
        .expect_problem(StatusCode::NOT_FOUND, "workspaces.workspace.not_found");
    let (files, manifest) = export(owner, &path).await;
    assert_eq!(manifest["workspace_id"], team.workspace.as_str());
    let named: BTreeSet<&str> = manifest["files"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(named, files.keys().map(String::as_str).collect());
    assert_eq!(ids(&files["tasks/tasks.jsonl"]).len(), 452);
    assert_eq!(files["tasks/comments.jsonl"][0]["body"], "Look");
    assert!(files["tasks/activity.jsonl"].len() > 452);
    assert_eq!(files["workspaces/members.jsonl"].len(), 3);
    assert_eq!(files["workspaces/projects.jsonl"].len(), 2);
    assert_eq!(files["webhooks/webhooks.jsonl"].len(), 1);
    let everything = serde_json::to_string(&files).unwrap();
    for secret in ["whsec_", "password", "token", "Foreign"] {
        assert!(!everything.contains(secret), "{secret}");
    }
    for (service, one, file) in given(|one| one.workspace) {
        assert!(named.contains(format!("{service}/{file}.jsonl").as_str()), "{service}.{one}");
    }
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_take_what_is_theirs_as_far_as_they_may_read_it_now() {
    let team = team().await;
    let (owner, bob) = (&team.owner, &team.bob);
    let task = bob.task(&team.project, "Mine").await;
    let task = task["id"].as_str().unwrap();
    bob.post(&format!("/v1/tasks/{task}/comments"), json!({ "body": "My words" }))
        .await
        .expect(StatusCode::CREATED);
    owner
        .post(&team.tasks(), json!({ "title": "For Bob", "assignee_ids": [bob.user_id] }))
        .await
        .expect(StatusCode::CREATED);
    owner.task(&team.project, "Not for Bob").await;
    eventually("the notification", || async {
        let inbox = bob.get("/v1/notifications?kind=task.assigned").await;
        (!inbox.items().is_empty()).then_some(())
    })
    .await;
    let (files, manifest) = export(bob, "/v1/me/export").await;
    assert_eq!(manifest["user_id"], bob.user_id.as_str());
    assert_eq!(files["identity/profile.jsonl"][0]["email"], bob.email.as_str());
    assert_eq!(files["identity/sessions.jsonl"].len(), 1);
    assert_eq!(files["tasks/created-tasks.jsonl"][0]["title"], "Mine");
    assert_eq!(files["tasks/assigned-tasks.jsonl"][0]["title"], "For Bob");
    assert_eq!(files["tasks/comments.jsonl"][0]["body"], "My words");
    assert!(!files["notifications/notifications.jsonl"].is_empty());
    assert_eq!(files["workspaces/workspaces.jsonl"].len(), 1);
    assert!(!serde_json::to_string(&files).unwrap().contains("Not for Bob"));
    let named: BTreeSet<&str> = manifest["files"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (service, one, file) in given(|one| one.person) {
        assert!(named.contains(format!("{service}/{file}.jsonl").as_str()), "{service}.{one}");
    }

    let membership = format!("/v1/workspaces/{}/members/{}", team.workspace, bob.user_id);
    let request = owner.request(Method::DELETE, &membership).header("if-match", "*");
    owner.send(request).await.expect(StatusCode::NO_CONTENT);
    let (files, _) = export(bob, "/v1/me/export").await;
    for file in [
        "tasks/created-tasks",
        "tasks/assigned-tasks",
        "tasks/comments",
        "workspaces/workspaces",
    ] {
        assert!(
            files[&format!("{file}.jsonl")].is_empty(),
            "{file}: what one may no longer read is not taken along"
        );
    }
    team.app
        .anonymous()
        .get("/v1/me/export")
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "auth.required");
    team.app.stop().await;
}

fn given(of: fn(&Disclosure) -> Given) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let tables = DISCLOSED
        .iter()
        .flat_map(|(service, tables)| tables.iter().map(move |table| (*service, table)));
    tables.filter_map(move |(service, table)| match of(table) {
        Given::In(file) => Some((service, table.table, file)),
        Given::Not(_) => None,
    })
}

/// A new table is named here or nobody can build on an export being whole.
#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_given_or_left_out_for_a_reason() {
    let database = testkit::TestServer::new(&compose::schemas()).await;
    let config = config_for(&database);
    let databases = compose::Databases::connect(&config).await.expect("databases");
    databases.migrate().await.expect("migrated");
    let schemas = compose::schemas();
    let mut transfer = Transfer::read(&config.database, &config.server.data_dir, &schemas)
        .await
        .expect("a look");
    let (mut wrong, mut declared) = (Vec::new(), BTreeSet::new());
    for (service, tables) in DISCLOSED {
        for table in tables.iter().chain(PLATFORM) {
            if !declared.insert((*service, table.table)) {
                wrong.push(format!("{service}.{} is declared twice", table.table));
            }
        }
    }
    let mut present = BTreeSet::new();
    for schema in &schemas {
        for table in transfer.tables(schema.service).await.expect("tables") {
            if !declared.contains(&(schema.service, table.name.as_str())) {
                wrong.push(format!(
                    "{}.{} is neither given nor left out for a reason",
                    schema.service, table.name
                ));
            }
            present.insert((schema.service, table.name));
        }
    }
    for (service, table) in declared {
        if !present.contains(&(service, table.to_owned())) {
            wrong.push(format!("{service}.{table} is declared, and no table"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
