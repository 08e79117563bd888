//! Tasks as files over HTTP.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, eventually};
use crate::tasks_http::team;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_in_once_is_told_once_and_comes_out_again() {
    let team = team().await;
    let bob = &team.bob;
    let import = format!("{}/import", team.tasks());
    let rows: String = (0..30).map(|n| format!("Task {n},{},=1+{n}\n", team.viewer.email)).collect();
    let command = json!({ "format": "csv", "content": format!("title,assignees,description\n{rows}") });
    let send = async |key: &str| {
        let request = bob.request(Method::POST, &import).header("idempotency-key", key).json(&command);
        bob.send(request).await
    };
    let first = send("once").await.expect(StatusCode::OK);
    assert_eq!(
        (&first.body["created"], &first.body["tasks"][29]["key"]),
        (&json!(30), &json!("ABC-30"))
    );
    let again = send("once").await.expect(StatusCode::OK);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    assert_eq!(bob.get(&format!("{}?include_total=true", team.tasks())).await.body["total"], 30);

    let told = eventually("the viewer to be told", || async {
        let inbox = team.viewer.get("/v1/notifications").await;
        let about: Vec<Value> = inbox
            .items()
            .iter()
            .filter(|item| item["kind"] == "task.imported")
            .cloned()
            .collect();
        (!about.is_empty()).then_some(about)
    })
    .await;
    assert_eq!(told.len(), 1);
    assert!(told[0]["message"].as_str().unwrap().contains("imported 30 tasks"), "{told:?}");
    let inbox = team.viewer.get("/v1/notifications?kind=task.assigned").await;
    assert!(inbox.items().is_empty(), "not one by one: {:?}", inbox.items());

    let export = format!("{}/export", team.tasks());
    let csv = bob.request(Method::GET, &export).header(header::ACCEPT, "text/csv");
    let file = bob.send(csv).await.expect(StatusCode::OK);
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert!(
        file.header("content-disposition")
            .unwrap()
            .starts_with("attachment; filename=\"ABC-tasks-")
    );
    assert_eq!(file.text.lines().count(), 31);
    assert!(file.text.contains("\"'=1+7\""), "{}", file.text);
    let json = team
        .viewer
        .get(&format!("{export}?format=json&q=Task%207"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(json.items().len(), 1);
    assert_eq!(json.body["items"][0]["description"], "=1+7");
    team.stranger
        .get(&export)
        .await
        .expect_problem(StatusCode::NOT_FOUND, "tasks.project.not_found");
    bob.get(&format!("{export}?limit=3"))
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.query_invalid");
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_17_a_key_exports_what_its_scopes_open_and_the_log_tells_of_it() {
    let team = team().await;
    let task = json!({ "title": "Paint", "assignee_ids": [team.viewer.user_id] });
    team.owner.post(&team.tasks(), task).await.expect(StatusCode::CREATED);
    let export = format!("{}/export", team.tasks());
    for (scopes, sees) in [(vec!["tasks:read"], false), (vec!["tasks:read", "members:read"], true)] {
        let body = json!({ "name": "Program", "scopes": scopes, "current_password": PASSWORD });
        let made = team.owner.post("/v1/api-keys", body).await.expect(StatusCode::CREATED);
        let program = Client {
            token: made.body["key"].as_str().map(str::to_owned),
            ..team.owner.clone()
        };
        for format in ["csv", "json"] {
            let file = program.get(&format!("{export}?format={format}")).await.expect(StatusCode::OK);
            assert!(file.text.contains("Paint"), "{}", file.text);
            assert_eq!(file.text.contains(&team.viewer.email), sees, "{}", file.text);
            assert_eq!(file.text.contains(&team.owner.email), sees, "{}", file.text);
        }
    }
    let log = format!("/v1/workspaces/{}/audit-log?action=tasks.exported", team.workspace);
    let entries = eventually("the exports to be in the log", || async {
        let entries = team.owner.get(&log).await.items().clone();
        (entries.len() == 4).then_some(entries)
    })
    .await;
    assert_eq!(entries[0]["actor"]["kind"], "api_key");
    assert_eq!(
        entries[0]["target"],
        json!({ "kind": "project", "id": team.project, "name": "Project ABC" })
    );

    let made = team.bob.post("/v1/me/calendar-feeds", json!({ "name": "Mine" })).await;
    let feed = format!("/v1/me/calendar-feeds/{}", made.expect(StatusCode::CREATED).id());
    team.bob.delete(&feed).await.expect(StatusCode::NO_CONTENT);
    team.bob.delete(&feed).await.expect(StatusCode::NOT_FOUND);
    let actions = eventually("the feed to be in the log", || async {
        let entries = team.bob.get("/v1/me/security-log?action=calendar_feed.*").await.items().clone();
        (entries.len() >= 2).then(|| entries.iter().map(|entry| entry["action"].clone()).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(actions, ["calendar_feed.deleted", "calendar_feed.created"]);
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_is_said_by_row_and_column() {
    let team = team().await;
    let import = format!("{}/import", team.tasks());
    let command = json!({ "format": "csv", "content": "Summary;Tags\nFine;\nBad;nothing\n", "atomic": true });
    let refused = team
        .bob
        .post(&import, command)
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "tasks.import.rows_failed");
    let report = &refused.body["report"];
    assert_eq!(report["errors"][0]["column"], "Tags");
    assert_eq!((&report["delimiter"], &report["header"]), (&json!(";"), &json!(true)));
    assert_eq!(
        report["error_file"],
        "\"Summary\";\"Tags\";\"error\"\r\n\"Bad\";\"nothing\";\"labels: nothing is no label of the workspace; create it first\"\r\n"
    );
    for (bad, pointer) in [
        (json!({ "format": "csv" }), "/content"),
        (json!({ "format": "xls", "content": "" }), "/format"),
        (
            json!({ "format": "csv", "content": "", "mapping": { "titel": 1 } }),
            "/mapping/titel",
        ),
        (json!({ "format": "csv", "content": "a", "delimiter": "#" }), "/delimiter"),
    ] {
        let answer = team.bob.post(&import, bad).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{answer:#?}");
    }
    let listed = team.bob.get(&team.tasks()).await;
    assert!(listed.items().is_empty());
    team.app.stop().await;
}
