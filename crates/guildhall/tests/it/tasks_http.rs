//! Tasks over HTTP: what the service tests cannot see, from headers to query strings.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, join};

/// An owner, a collaborator and a viewer in one workspace with project `ABC`, and a stranger with a workspace of their own.
pub struct Team {
    pub app: TestApp,
    pub owner: Client,
    pub bob: Client,
    pub viewer: Client,
    pub stranger: Client,
    pub workspace: String,
    pub project: String,
}

pub async fn team() -> Team {
    let app = TestApp::start().await;
    let owner = app.register("olga").await;
    let bob = app.register("bob").await;
    let viewer = app.register("vera").await;
    let stranger = app.register("stranger").await;
    stranger.workspace("Elsewhere").await;
    let workspace = owner.workspace("Works").await;
    join(&app, &owner, &workspace, &bob, "collaborator").await;
    join(&app, &owner, &workspace, &viewer, "viewer").await;
    let project = owner.project(&workspace, "ABC").await;
    Team {
        app,
        owner,
        bob,
        viewer,
        stranger,
        workspace,
        project,
    }
}

impl Team {
    pub fn tasks(&self) -> String {
        format!("/v1/projects/{}/tasks", self.project)
    }
}

pub fn titles(items: &[Value]) -> Vec<&str> {
    items.iter().map(|task| task["title"].as_str().unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_lives_from_creation_to_restoration() {
    let team = team().await;
    let bob = &team.bob;
    let created = bob
        .post(
            &team.tasks(),
            json!({"title": "Write", "due_date": "2026-12-24", "assignee_ids": [bob.user_id]}),
        )
        .await
        .expect(StatusCode::CREATED);
    let path = format!("/v1/tasks/{}", created.id());
    assert_eq!(
        (created.header("location"), created.header("etag")),
        (Some(path.as_str()), Some("\"1\""))
    );
    assert_eq!(
        (&created.body["key"], &created.body["due_at"]),
        (&json!("ABC-1"), &json!("2026-12-24T23:59:59.999999Z"))
    );

    let read = bob.get(&path).await.expect(StatusCode::OK);
    assert_eq!(read.body, created.body);
    let unchanged = bob.send(bob.request(Method::GET, &path).header("if-none-match", "\"1\"")).await;
    assert_eq!((unchanged.status, unchanged.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    let by_key = bob
        .get(&format!("/v1/workspaces/{}/tasks/abc-1", team.workspace))
        .await
        .expect(StatusCode::OK);
    assert_eq!(by_key.body, created.body);

    let changed = bob
        .patch_if(&path, 1, json!({"title": "Rewrite", "due_date": null}))
        .await
        .expect(StatusCode::OK);
    assert_eq!((changed.header("etag"), &changed.body["due_at"]), (Some("\"2\""), &Value::Null));
    bob.patch_if(&path, 1, json!({"title": "Late"}))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    for _ in 0..2 {
        let done = bob.mark(&format!("{path}/completion")).await.expect(StatusCode::OK);
        assert_eq!((&done.body["status"], &done.body["version"]), (&json!("done"), &json!(3)));
    }
    bob.delete(&format!("{path}/completion")).await.expect(StatusCode::OK);
    bob.delete(&path).await.expect(StatusCode::NO_CONTENT);
    bob.get(&path).await.expect_problem(StatusCode::NOT_FOUND, "tasks.task.not_found");
    let bin = bob.get("/v1/tasks?deleted=true").await.expect(StatusCode::OK);
    assert_eq!(titles(bin.items()), ["Rewrite"]);
    let restored = bob
        .send(bob.request(Method::POST, &format!("{path}/restore")))
        .await
        .expect(StatusCode::OK);
    assert_eq!(restored.body["deleted_at"], Value::Null);

    let history = bob.get(&format!("{path}/activity?limit=200")).await.expect(StatusCode::OK);
    let kinds: Vec<&str> = history.items().iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!((kinds[0], kinds[1], kinds[kinds.len() - 1]), ("restored", "deleted", "created"));
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_21_foreign_ids_answer_404_and_low_roles_403() {
    let team = team().await;
    let task = team.bob.task(&team.project, "Secret").await;
    let comment = team
        .bob
        .post(
            &format!("/v1/tasks/{}/comments", task["id"].as_str().unwrap()),
            json!({"body": "psst"}),
        )
        .await
        .expect(StatusCode::CREATED)
        .id();
    let label = team
        .bob
        .post(&format!("/v1/workspaces/{}/labels", team.workspace), json!({"name": "l"}))
        .await
        .expect(StatusCode::CREATED)
        .id();
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    let labels = format!("/v1/workspaces/{}/labels", team.workspace);
    let writes = [
        (Method::POST, team.tasks(), json!({"title": "x"})),
        (Method::PATCH, path.clone(), json!({"title": "x"})),
        (Method::DELETE, path.clone(), Value::Null),
        (Method::PUT, format!("{path}/completion"), Value::Null),
        (Method::PUT, format!("{path}/archive"), Value::Null),
        (Method::PUT, format!("{path}/position"), json!({})),
        (Method::PUT, format!("{path}/assignees/{}", team.bob.user_id), Value::Null),
        (Method::POST, format!("{path}/comments"), json!({"body": "x"})),
        (Method::PATCH, format!("/v1/comments/{comment}"), json!({"body": "x"})),
        (Method::DELETE, format!("/v1/comments/{comment}"), Value::Null),
        (Method::POST, labels.clone(), json!({"name": "x"})),
        (Method::PATCH, format!("{labels}/{label}"), json!({"name": "x"})),
        (Method::DELETE, format!("{labels}/{label}"), Value::Null),
        (
            Method::POST,
            format!("/v1/workspaces/{}/states", team.workspace),
            json!({"name": "x", "status": "open"}),
        ),
        (
            Method::POST,
            "/v1/tasks/batch".into(),
            json!({"operations": [{"op": "complete", "task_id": task["id"]}]}),
        ),
    ];
    for (method, path, body) in &writes {
        for (client, status) in [(&team.viewer, StatusCode::FORBIDDEN), (&team.stranger, StatusCode::NOT_FOUND)] {
            let mut request = client.request(method.clone(), path);
            if !body.is_null() {
                request = request.json(body);
            }
            let answer = client.send(request).await;
            assert_eq!(answer.status, status, "{method} {path}: {answer:#?}");
        }
    }
    for path in [
        path.clone(),
        format!("{path}/comments"),
        format!("{path}/activity"),
        format!("/v1/comments/{comment}"),
        team.tasks(),
        labels,
    ] {
        team.viewer.get(&path).await.expect(StatusCode::OK);
        let answer = team.stranger.get(&path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer:#?}");
    }
    // A foreign id in a body is refused like an unknown one.
    team.bob
        .post(&team.tasks(), json!({"title": "x", "assignee_ids": [team.stranger.user_id]}))
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    assert!(
        team.stranger
            .get("/v1/tasks?q=secret")
            .await
            .expect(StatusCode::OK)
            .items()
            .is_empty()
    );
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_understand_the_filters_and_sorts_of_the_api() {
    let team = team().await;
    let bob = &team.bob;
    for (title, priority, due) in [
        ("Alpha", "low", "2026-05-03"),
        ("Beta", "urgent", "2026-05-01"),
        ("Gamma", "none", "2026-05-02"),
    ] {
        bob.post(&team.tasks(), json!({"title": title, "priority": priority, "due_date": due}))
            .await
            .expect(StatusCode::CREATED);
    }
    let other = team.owner.project(&team.workspace, "OTHER").await;
    let delta = team.owner.task(&other, "Delta beta").await;
    let mine = format!("/v1/tasks/{}/assignees/{}", delta["id"].as_str().unwrap(), bob.user_id);
    bob.mark(&mine).await.expect(StatusCode::OK);

    for (query, expected) in [
        ("sort=due_at", vec!["Beta", "Gamma", "Alpha", "Delta beta"]),
        ("sort=-priority,title", vec!["Beta", "Alpha", "Delta beta", "Gamma"]),
        ("sort=title&status=open,in_progress&priority=low,urgent", vec!["Alpha", "Beta"]),
        ("assignee=me", vec!["Delta beta"]),
        ("assignee=none&sort=title", vec!["Alpha", "Beta", "Gamma"]),
        ("assignee=&sort=title", vec!["Alpha", "Beta", "Delta beta", "Gamma"]),
        ("q=bet&sort=title", vec!["Beta", "Delta beta"]),
        ("q=abc-2", vec!["Beta"]),
        ("due_before=2026-05-02T00:00:00Z", vec!["Beta"]),
        (
            "due_after=2026-05-02T00:00:00Z&due_before=2026-05-03T00:00:00%2B00:00",
            vec!["Gamma"],
        ),
        (&format!("project_id={other}"), vec!["Delta beta"]),
        (
            &format!("workspace_id={}&creator={}&sort=number", team.workspace, team.owner.user_id),
            vec!["Delta beta"],
        ),
    ] {
        let answer = bob.get(&format!("/v1/tasks?{query}")).await.expect(StatusCode::OK);
        assert_eq!(titles(answer.items()), expected, "{query}");
    }
    let first = bob
        .get("/v1/tasks?sort=title&limit=3&include_total=true")
        .await
        .expect(StatusCode::OK);
    assert_eq!((first.items().len(), &first.body["total"]), (3, &json!(4)));
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let rest = bob
        .get(&format!("/v1/tasks?sort=title&limit=3&cursor={cursor}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!((titles(rest.items()), rest.body.get("next_cursor")), (vec!["Gamma"], None));
    bob.get(&format!("/v1/tasks?sort=-title&limit=3&cursor={cursor}"))
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.cursor_invalid");
    let shaped = bob
        .get("/v1/tasks?q=delta&fields=key,title&expand=assignees,project")
        .await
        .expect(StatusCode::OK);
    let expected = json!({"id": delta["id"], "key": "OTHER-1", "title": "Delta beta",
        "assignees": [{"id": bob.user_id, "name": "bob"}],
        "project": {"id": other, "key": "OTHER", "name": "Project OTHER", "archived": false}});
    assert_eq!(shaped.items(), &[expected]);
    for bad in [
        "colour=red",
        "limit=0",
        "limit=201",
        "limit=x",
        "status=closed",
        "sort=secret",
        "fields=password",
        "expand=creator",
        "assignee=you",
        "due_before=tomorrow",
        "deleted=perhaps",
        "workspace_id=1",
    ] {
        let answer = bob.get(&format!("/v1/tasks?{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}: {answer:#?}");
    }
    bob.get(&format!("{}?workspace_id={}", team.tasks(), team.workspace))
        .await
        .expect(StatusCode::BAD_REQUEST);
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_creates_one_task_and_one_number() {
    let team = team().await;
    let bob = &team.bob;
    let create = |title: &str| {
        bob.send(
            bob.request(Method::POST, &team.tasks())
                .header("idempotency-key", "k-1")
                .json(&json!({ "title": title })),
        )
    };
    let first = create("Once").await.expect(StatusCode::CREATED);
    let again = create("Once").await.expect(StatusCode::CREATED);
    assert_eq!(
        (again.body, again.headers.get("idempotency-replayed").is_some()),
        (first.body.clone(), true)
    );
    create("Twice").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(team.bob.task(&team.project, "Next").await["key"], "ABC-2");

    let batch = || {
        let body = json!({"atomic": false, "operations": [
            {"op": "create", "project_id": team.project, "task": {"title": "Batched"}},
            {"op": "complete", "task_id": team.project},
        ]});
        bob.send(
            bob.request(Method::POST, "/v1/tasks/batch")
                .header("idempotency-key", "k-2")
                .json(&body),
        )
    };
    let first = batch().await.expect(StatusCode::MULTI_STATUS);
    assert_eq!(
        (&first.body["results"][0]["status"], &first.body["results"][1]["problem"]["code"]),
        (&json!(201), &json!("tasks.task.not_found"))
    );
    let again = batch().await.expect(StatusCode::MULTI_STATUS);
    assert_eq!(again.body, first.body);
    let listed = bob.get("/v1/tasks?q=batched").await.expect(StatusCode::OK);
    assert_eq!(listed.items().len(), 1);
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_checked_to_the_last_field() {
    let team = team().await;
    let bob = &team.bob;
    let refuse = async |body: Value, pointer: &str| {
        let answer = bob
            .post(&team.tasks(), body)
            .await
            .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
        let pointers: Vec<&str> = answer.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|e| e["pointer"].as_str())
            .collect();
        assert!(pointers.contains(&pointer), "{pointers:?} {pointer}");
    };
    refuse(json!({"title": "x", "number": 7}), "/number").await;
    refuse(json!({}), "/title").await;
    refuse(json!({"title": "x\u{0}"}), "/title").await;
    refuse(json!({"title": "x", "priority": "huge"}), "/priority").await;
    refuse(json!({"title": "x", "due_at": "yesterday"}), "/due_at").await;
    refuse(json!({"title": "x", "parent_id": "1"}), "/parent_id").await;
    let batch = json!({"operations": [{"op": "update", "task_id": team.project, "patch": {"title": "x", "version": 2}}]});
    bob.post("/v1/tasks/batch", batch).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    for odd in [
        "\u{202e}rtl",
        "😀 emoji 🏴‍☠️",
        "' OR 1=1; --",
        "<script>alert(1)</script>",
        "\u{10ffff}",
        "ｆｕｌｌ ｗｉｄｔｈ",
    ] {
        let task = bob.task(&team.project, odd).await;
        assert_eq!(
            bob.get(&format!("/v1/tasks/{}", task["id"].as_str().unwrap())).await.body["title"],
            odd
        );
    }
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn board_settings_and_comments_work_over_http() {
    let team = team().await;
    let bob = &team.bob;
    let states_path = format!("/v1/workspaces/{}/states", team.workspace);
    let states = bob.get(&states_path).await.expect(StatusCode::OK);
    let done = states.items().iter().find(|state| state["status"] == "done").unwrap()["id"].clone();
    let review = bob
        .post(&states_path, json!({"name": "Review", "status": "in_progress"}))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(review.header("location"), Some(format!("{states_path}/{}", review.id()).as_str()));
    let (a, b) = (bob.task(&team.project, "a").await, bob.task(&team.project, "b").await);
    let position = format!("/v1/tasks/{}/position", b["id"].as_str().unwrap());
    let moved = bob
        .put(&position, json!({"before_id": a["id"], "state_id": review.id()}))
        .await
        .expect(StatusCode::OK);
    assert!(moved.body["position"].as_str() < a["position"].as_str());
    assert_eq!(moved.body["status"], "in_progress");
    bob.delete(&format!("{states_path}/{}", review.id()))
        .await
        .expect_problem(StatusCode::CONFLICT, "tasks.state.in_use");
    let finished = bob.put(&position, json!({ "state_id": done })).await.expect(StatusCode::OK);
    assert_eq!(finished.body["status"], "done");
    bob.delete_if(&format!("{states_path}/{}", review.id()), 1)
        .await
        .expect(StatusCode::NO_CONTENT);

    let comments = format!("/v1/tasks/{}/comments", a["id"].as_str().unwrap());
    let comment = bob.post(&comments, json!({"body": "**Hi**"})).await.expect(StatusCode::CREATED);
    let path = format!("/v1/comments/{}", comment.id());
    assert_eq!(comment.header("location"), Some(path.as_str()));
    let edited = bob.patch_if(&path, 1, json!({"body": "Hello"})).await.expect(StatusCode::OK);
    assert_eq!((edited.header("etag"), &edited.body["body"]), (Some("\"2\""), &json!("Hello")));
    team.owner
        .patch(&path, json!({"body": "Not mine"}))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "tasks.comment.not_author");
    assert_eq!(team.viewer.get(&comments).await.expect(StatusCode::OK).items().len(), 1);
    team.owner.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(
        bob.get(&format!("/v1/tasks/{}", a["id"].as_str().unwrap())).await.body["comment_count"],
        0
    );
    team.app.stop().await;
}
