//! Many who change one thing at once, without a condition: all get through, and nobody is told of a condition that failed.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp};

const AT_ONCE: usize = 16;

async fn send(client: &Client, method: Method, path: &str, if_match: Option<&str>, body: Option<Value>) -> Answer {
    let mut request = client.request(method, path);
    if let Some(tag) = if_match {
        request = request.header("if-match", tag);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    client.send(request).await
}

/// A body for each of those at once.
fn each(body: impl Fn(usize) -> Value) -> Vec<Option<Value>> {
    (0..AT_ONCE).map(|number| Some(body(number))).collect()
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status.as_u16()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_without_a_condition_all_get_through() {
    let app = TestApp::start().await;
    let owner = app.register("owner").await;
    let workspace = owner.workspace("Races").await;
    let project = owner.project(&workspace, "RACE").await;
    let tasks = format!("/v1/projects/{project}/tasks");
    let task = owner.post(&tasks, json!({ "title": "One" })).await.expect(StatusCode::CREATED).id();
    let other = owner.post(&tasks, json!({ "title": "Two" })).await.expect(StatusCode::CREATED).id();
    let state = json!({ "name": "In review", "status": "in_progress" });
    let state = owner
        .post(&format!("/v1/workspaces/{workspace}/states"), state)
        .await
        .expect(StatusCode::CREATED)
        .id();
    let task_path = format!("/v1/tasks/{task}");
    let title = |number: usize| json!({ "title": format!("Title {number}") });
    let name = |number: usize| json!({ "name": format!("Name {number}") });
    let batch =
        |number: usize| json!({ "operations": [{ "op": "update", "task_id": task, "patch": { "title": format!("Batch {number}") } }] });
    let state_path = format!("/v1/workspaces/{workspace}/states/{state}");
    let cases = vec![
        (Method::PATCH, task_path.clone(), None, each(title)),
        (Method::PUT, format!("{task_path}/completion"), None, vec![None; AT_ONCE]),
        (
            Method::PUT,
            format!("{task_path}/assignees/{}", owner.user_id),
            None,
            vec![None; AT_ONCE],
        ),
        (
            Method::PUT,
            format!("{task_path}/position"),
            None,
            each(|_| json!({ "after_id": other })),
        ),
        (Method::POST, "/v1/tasks/batch".to_owned(), None, each(batch)),
        (Method::PATCH, "/v1/me".to_owned(), None, each(name)),
        (
            Method::PATCH,
            state_path,
            Some("*"),
            each(|n| json!({ "name": format!("State {n}") })),
        ),
    ];
    for (method, path, if_match, bodies) in cases {
        let requests = bodies.into_iter().map(|body| send(&owner, method.clone(), &path, if_match, body));
        let answers = join_all(requests).await;
        let refused: Vec<&Answer> = answers.iter().filter(|answer| !answer.status.is_success()).collect();
        assert!(refused.is_empty(), "{method} {path}: {:?} {:#?}", statuses(&answers), refused[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_with_the_same_tag_one_gets_through() {
    let app = TestApp::start().await;
    let owner = app.register("owner").await;
    let workspace = owner.workspace("Races").await;
    let project = owner.project(&workspace, "RACE").await;
    let task = owner
        .post(&format!("/v1/projects/{project}/tasks"), json!({ "title": "One" }))
        .await
        .expect(StatusCode::CREATED);
    let (path, tag) = (format!("/v1/tasks/{}", task.id()), task.header("etag").expect("a tag").to_owned());
    let requests = (0..AT_ONCE).map(|number| {
        let body = Some(json!({ "title": format!("Title {number}") }));
        send(&owner, Method::PATCH, &path, Some(&tag), body)
    });
    let mut found = statuses(&join_all(requests).await);
    found.sort_unstable();
    assert_eq!((found[0], &found[1..]), (200, &[412; AT_ONCE - 1][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_while_it_is_used_is_missed_and_nothing_breaks() {
    let app = TestApp::start().await;
    let owner = app.register("owner").await;
    let workspace = owner.workspace("Races").await;
    let project = owner.project(&workspace, "RACE").await;
    let tasks = format!("/v1/projects/{project}/tasks");
    for number in 0..8 {
        let label = json!({ "name": format!("Label {number}"), "color": "#336699" });
        let labels = format!("/v1/workspaces/{workspace}/labels");
        let label = owner.post(&labels, label).await.expect(StatusCode::CREATED).id();
        let state = json!({ "name": format!("State {number}"), "status": "in_progress" });
        let states = format!("/v1/workspaces/{workspace}/states");
        let state = owner.post(&states, state).await.expect(StatusCode::CREATED).id();
        let uses = (0..4).map(|turn| {
            let body = if turn % 2 == 0 {
                json!({ "title": "Labelled", "label_ids": [label] })
            } else {
                json!({ "title": "In a state", "state_id": state })
            };
            send(&owner, Method::POST, &tasks, None, Some(body))
        });
        let (label, state) = (format!("{labels}/{label}"), format!("{states}/{state}"));
        let (used, label, state) = tokio::join!(
            join_all(uses),
            send(&owner, Method::DELETE, &label, Some("*"), None),
            send(&owner, Method::DELETE, &state, Some("*"), None)
        );
        for answer in used {
            assert!([201, 422].contains(&answer.status.as_u16()), "{answer:#?}");
        }
        assert!([200, 204].contains(&label.status.as_u16()), "{label:#?}");
        assert!([204, 409].contains(&state.status.as_u16()), "{state:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_moved_while_one_is_made_below_it_goes_no_deeper_than_allowed() {
    let app = TestApp::start().await;
    let owner = app.register("owner").await;
    let workspace = owner.workspace("Races").await;
    let project = owner.project(&workspace, "RACE").await;
    let tasks = format!("/v1/projects/{project}/tasks");
    let below = async |parent: Option<&str>| {
        let body = json!({ "title": "Level", "parent_id": parent });
        owner.post(&tasks, body).await.expect(StatusCode::CREATED).id()
    };
    let mut fourth = below(None).await;
    for _ in 0..3 {
        fourth = below(Some(&fourth)).await;
    }
    for _ in 0..20 {
        let fifth = below(None).await;
        let path = format!("/v1/tasks/{fifth}");
        let (moved, made) = tokio::join!(
            send(&owner, Method::PATCH, &path, None, Some(json!({ "parent_id": fourth }))),
            send(
                &owner,
                Method::POST,
                &tasks,
                None,
                Some(json!({ "title": "Sixth", "parent_id": fifth }))
            )
        );
        let both = moved.status.is_success() && made.status.is_success();
        assert!(!both, "six levels: {moved:#?} {made:#?}");
        for answer in [moved, made] {
            assert!(
                answer.status.is_success() || [409, 422].contains(&answer.status.as_u16()),
                "{answer:#?}"
            );
        }
    }
}
