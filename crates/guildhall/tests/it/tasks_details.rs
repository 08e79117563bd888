//! Tasks over HTTP, the finer print: history, default orders, strict workspaces, batches, expansions, edges of dates.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::tasks_http::{team, titles};

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_paged_newest_first_and_readable_by_every_member() {
    let team = team().await;
    let bob = &team.bob;
    let task = bob.task(&team.project, "Old title").await;
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    bob.patch(&path, json!({"title": "New title", "priority": "high"}))
        .await
        .expect(StatusCode::OK);
    bob.mark(&format!("{path}/completion")).await.expect(StatusCode::OK);
    bob.post(&format!("{path}/comments"), json!({"body": "Done"}))
        .await
        .expect(StatusCode::CREATED);

    let (mut lines, mut next) = (Vec::new(), String::new());
    loop {
        let page = team
            .viewer
            .get(&format!("{path}/activity?limit=2{next}"))
            .await
            .expect(StatusCode::OK);
        assert!(page.items().len() <= 2);
        lines.extend(page.items().clone());
        match page.body["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    let told: Vec<(&str, &Value)> = lines.iter().map(|line| (line["kind"].as_str().unwrap(), &line["field"])).collect();
    assert_eq!(told[0].0, "comment_created");
    assert_eq!(told[1], ("completed", &json!("state_id")));
    assert_eq!(told.last(), Some(&("created", &Value::Null)));
    let title = lines.iter().find(|line| line["field"] == "title").unwrap();
    assert_eq!(
        (&title["old"], &title["new"], &title["actor_id"], &title["task_id"]),
        (&json!("Old title"), &json!("New title"), &json!(bob.user_id), &task["id"])
    );
    assert_eq!(lines.len(), 5, "{lines:#?}");
    let ids: std::collections::BTreeSet<&str> = lines.iter().filter_map(|line| line["id"].as_str()).collect();
    assert_eq!(ids.len(), 5, "no line twice");

    bob.get(&format!("{path}/activity?limit=0")).await.expect(StatusCode::BAD_REQUEST);
    bob.get(&format!("{path}/activity?sort=kind")).await.expect(StatusCode::BAD_REQUEST);
    bob.get(&format!("{path}/activity?limit=1&cursor=x"))
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.cursor_invalid");
    // A cursor of one history opens no other one.
    let first = bob.get(&format!("{path}/activity?limit=1")).await.expect(StatusCode::OK);
    let other = bob.task(&team.project, "Other").await;
    let foreign = format!(
        "/v1/tasks/{}/activity?limit=1&cursor={}",
        other["id"].as_str().unwrap(),
        first.body["next_cursor"].as_str().unwrap()
    );
    bob.get(&foreign)
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.cursor_invalid");
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_newest_first_and_the_board_goes_by_position() {
    let team = team().await;
    let bob = &team.bob;
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        ids.push(bob.task(&team.project, title).await["id"].as_str().unwrap().to_owned());
    }
    for path in [team.tasks(), "/v1/tasks".to_owned()] {
        let answer = bob.get(&path).await.expect(StatusCode::OK);
        assert_eq!(titles(answer.items()), ["three", "two", "one"], "{path}");
    }
    let board = format!("{}?sort=position", team.tasks());
    assert_eq!(titles(bob.get(&board).await.items()), ["one", "two", "three"]);
    bob.put(&format!("/v1/tasks/{}/position", ids[2]), json!({"before_id": ids[0]}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(titles(bob.get(&board).await.items()), ["three", "one", "two"]);
    bob.put(&format!("/v1/tasks/{}/position", ids[0]), json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(titles(bob.get(&board).await.items()), ["three", "two", "one"]);

    // Archived tasks leave the lists and come back with the archive; sub-tasks are asked for by their parent.
    bob.mark(&format!("/v1/tasks/{}/archive", ids[1])).await.expect(StatusCode::OK);
    bob.patch(&format!("/v1/tasks/{}", ids[0]), json!({"parent_id": ids[2]}))
        .await
        .expect(StatusCode::OK);
    for (query, expected) in [
        ("sort=number", vec!["one", "three"]),
        ("sort=number&archived=true", vec!["two"]),
        ("sort=number&archived=any", vec!["one", "two", "three"]),
        ("sort=number&parent_id=none", vec!["three"]),
        (&format!("parent_id={}", ids[2]), vec!["one"]),
    ] {
        let answer = bob.get(&format!("{}?{query}", team.tasks())).await.expect(StatusCode::OK);
        assert_eq!(titles(answer.items()), expected, "{query}");
    }
    bob.patch(&format!("/v1/tasks/{}", ids[1]), json!({"title": "x"}))
        .await
        .expect_problem(StatusCode::CONFLICT, "tasks.task.archived");
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_workspace_demands_the_version_with_every_change() {
    let team = team().await;
    let bob = &team.bob;
    let task = bob.task(&team.project, "Careful").await;
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    let workspace = format!("/v1/workspaces/{}", team.workspace);
    let current = team.owner.get(&workspace).await.expect(StatusCode::OK);
    let strict = team
        .owner
        .request(Method::PATCH, &workspace)
        .header("if-match", current.header("etag").unwrap())
        .json(&json!({"settings": {"strict_concurrency": true}}));
    team.owner.send(strict).await.expect(StatusCode::OK);
    for (method, path, body) in [
        (Method::PATCH, path.clone(), json!({"title": "x"})),
        (Method::DELETE, path.clone(), Value::Null),
        (Method::PUT, format!("{path}/completion"), Value::Null),
        (Method::PUT, format!("{path}/archive"), Value::Null),
        (Method::PUT, format!("{path}/position"), json!({})),
        (Method::PUT, format!("{path}/assignees/{}", bob.user_id), Value::Null),
        (
            Method::POST,
            "/v1/tasks/batch".into(),
            json!({"operations": [{"op": "complete", "task_id": task["id"]}]}),
        ),
    ] {
        let mut request = bob.request(method.clone(), &path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = bob.send(request).await;
        assert_eq!(answer.status, StatusCode::PRECONDITION_REQUIRED, "{method} {path}: {answer:#?}");
    }
    let versioned = |version: i64| json!({"operations": [{"op": "complete", "task_id": task["id"], "version": version}]});
    bob.post("/v1/tasks/batch", versioned(7))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    let done = bob.post("/v1/tasks/batch", versioned(1)).await.expect(StatusCode::OK);
    assert_eq!(done.body["results"][0]["task"]["status"], "done");
    bob.patch_if(&path, 2, json!({"title": "x"})).await.expect(StatusCode::OK);
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_all_or_nothing_and_takes_no_array_for_an_object() {
    let team = team().await;
    let bob = &team.bob;
    let task = bob.task(&team.project, "Stays").await;
    let batch = json!({"operations": [
        {"op": "update", "task_id": task["id"], "patch": {"title": "Changed"}},
        {"op": "create", "project_id": team.project, "task": {"title": " ", "due_date": "9999-12-31"}},
        {"op": "create", "project_id": team.project, "task": {"title": "Fine", "priority": "low"}},
    ]});
    let refused = bob
        .post("/v1/tasks/batch", batch)
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    let errors = refused.body["errors"].as_array().unwrap();
    let errors: Vec<(&str, &str)> = errors
        .iter()
        .map(|error| (error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [
            ("/operations/1/task/title", "blank"),
            ("/operations/1/task/due_date", "out_of_range")
        ]
    );
    assert_eq!(titles(bob.get(&team.tasks()).await.items()), ["Stays"]);
    for operation in [
        json!(["complete", task["id"]]),
        json!({"op": "update", "task_id": task["id"], "patch": ["x"]}),
        json!({"op": "create", "project_id": team.project, "task": ["x"]}),
        json!({"op": "create", "project_id": team.project, "task": "x"}),
        json!({"op": "explode", "task_id": task["id"]}),
        json!("complete"),
    ] {
        let answer = bob.post("/v1/tasks/batch", json!({"operations": [operation]})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{operation}: {answer:#?}");
        let pointer = answer.body["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("/operations/0"), "{operation}: {answer:#?}");
    }
    assert_eq!(titles(bob.get(&team.tasks()).await.items()), ["Stays"]);
    let document = team.app.anonymous().get("/openapi.json").await.expect(StatusCode::OK).body;
    let parameters = document["paths"]["/v1/tasks/batch"]["post"]["parameters"].as_array().unwrap();
    assert!(
        parameters.iter().all(|parameter| parameter["name"] != "If-Match"),
        "{parameters:#?}"
    );
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_beyond_the_calendar_are_refused_where_they_stand() {
    let team = team().await;
    let bob = &team.bob;
    for (body, pointer, code) in [
        (json!({"title": "x", "due_date": "9999-12-31"}), "/due_date", "out_of_range"),
        (json!({"title": "x", "due_date": "0000-12-31"}), "/due_date", "out_of_range"),
        (json!({"title": "x", "due_at": "9999-06-01T00:00:00Z"}), "/due_at", "out_of_range"),
        // Beyond what the calendar of the program can hold.
        (json!({"title": "x", "due_at": "9999-12-31T23:59:59Z"}), "/due_at", "invalid"),
    ] {
        let answer = bob
            .post(&team.tasks(), body.clone())
            .await
            .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        let error = &answer.body["errors"][0];
        assert_eq!(
            (error["pointer"].as_str(), error["code"].as_str()),
            (Some(pointer), Some(code)),
            "{body}"
        );
        assert!(error["detail"].as_str().unwrap().contains("9998") || code == "invalid", "{error}");
    }
    for query in [
        "due_before=9999-12-31T23:59:59Z",
        "due_after=9999-06-01T00:00:00Z",
        "updated_since=0000-01-01T00:00:00Z",
    ] {
        let answer = bob
            .get(&format!("/v1/tasks?{query}"))
            .await
            .expect_problem(StatusCode::BAD_REQUEST, "request.query_invalid");
        let name = query.split('=').next().unwrap();
        assert_eq!(answer.body["errors"][0]["pointer"], format!("#query/{name}"), "{answer:#?}");
    }
    bob.post(&team.tasks(), json!({"title": "x", "due_date": "9998-12-31"}))
        .await
        .expect(StatusCode::CREATED);
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_shows_its_people_labels_and_project_when_asked() {
    let team = team().await;
    let bob = &team.bob;
    let labels = format!("/v1/workspaces/{}/labels", team.workspace);
    let label = bob.post(&labels, json!({"name": "bug"})).await.expect(StatusCode::CREATED);
    let body = json!({"title": "x", "assignee_ids": [bob.user_id], "label_ids": [label.id()]});
    let task = bob.post(&team.tasks(), body).await.expect(StatusCode::CREATED);
    let path = format!("/v1/tasks/{}", task.id());
    let whole = bob
        .get(&format!("{path}?expand=assignees,labels,project"))
        .await
        .expect(StatusCode::OK);
    // What is expanded has versions of its own.
    assert_eq!(whole.header("etag"), None);
    assert_eq!(whole.body["assignees"], json!([{"id": bob.user_id, "name": "bob"}]));
    assert_eq!(whole.body["labels"], json!([label.body]));
    assert_eq!(whole.body["project"]["key"], "ABC");
    assert_eq!(bob.get(&path).await.expect(StatusCode::OK).body.get("labels"), None);
    bob.get(&format!("{path}?expand=secrets")).await.expect(StatusCode::BAD_REQUEST);

    let page = bob
        .get(&format!("{labels}?limit=1&include_total=true"))
        .await
        .expect(StatusCode::OK);
    assert_eq!((page.items().len(), &page.body["total"]), (1, &json!(1)));
    bob.delete(&format!("{labels}/{}", label.id())).await.expect(StatusCode::NO_CONTENT);
    let bare = bob.get(&path).await.expect(StatusCode::OK);
    assert_eq!((&bare.body["label_ids"], &bare.body["version"]), (&json!([]), &json!(2)));
    team.app.stop().await;
}
