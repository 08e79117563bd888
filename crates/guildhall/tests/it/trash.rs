//! The trash of a workspace over HTTP: tasks and projects in one list.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, eventually};
use crate::tasks_http::team;

#[tokio::test(flavor = "multi_thread")]
async fn tasks_and_projects_lie_in_one_list_and_come_back_or_go_for_good() {
    let team = team().await;
    let (owner, bob) = (&team.owner, &team.bob);
    let trash = format!("/v1/workspaces/{}/trash", team.workspace);
    let tasks: Vec<Value> = [bob.task(&team.project, "One").await, bob.task(&team.project, "Two").await].to_vec();
    let other = owner.project(&team.workspace, "OLD").await;
    owner.task(&other, "In it").await;
    let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
    bob.delete(&format!("/v1/tasks/{}", id(&tasks[0])))
        .await
        .expect(StatusCode::NO_CONTENT);
    owner.delete(&format!("/v1/projects/{other}")).await.expect(StatusCode::NO_CONTENT);
    bob.delete(&format!("/v1/tasks/{}", id(&tasks[1])))
        .await
        .expect(StatusCode::NO_CONTENT);

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = owner.get(&format!("{trash}?limit=1{cursor}")).await.expect(StatusCode::OK);
        seen.extend(page.items().clone());
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let keys: Vec<&str> = seen.iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        ["ABC-2", "OLD", "ABC-1"],
        "last deleted first, and not what lies in a deleted project"
    );
    assert_eq!(seen[1]["kind"], "project");
    assert_eq!(seen[1]["deleted_by"], owner.user_id.as_str());
    assert_eq!(seen[0]["deleted_by"], bob.user_id.as_str());
    let of_bob = bob.get(&trash).await.expect(StatusCode::OK);
    assert_eq!(of_bob.items().len(), 2, "who may not restore projects sees none");
    let projects = owner.get(&format!("{trash}?kind=project")).await.expect(StatusCode::OK);
    assert_eq!(projects.items().len(), 1);
    owner
        .get(&format!("{trash}?kind=comment"))
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "request.query_invalid");

    for (scopes, kinds) in [
        (vec!["tasks:read"], vec!["task", "task"]),
        (vec!["tasks:read", "projects:read"], vec!["task", "project", "task"]),
    ] {
        let body = json!({ "name": "Program", "scopes": scopes, "current_password": PASSWORD });
        let key = owner.post("/v1/api-keys", body).await.expect(StatusCode::CREATED);
        let program = Client {
            token: key.body["key"].as_str().map(str::to_owned),
            ..owner.clone()
        };
        let seen = program.get(&trash).await.expect(StatusCode::OK);
        let seen: Vec<&str> = seen.items().iter().map(|item| item["kind"].as_str().unwrap()).collect();
        assert_eq!(seen, kinds, "projects are what the scope for projects opens");
    }

    let purge = format!("/v1/trash/tasks/{}", id(&tasks[0]));
    bob.delete(&purge).await.expect_problem(StatusCode::FORBIDDEN, "tasks.forbidden");
    owner.delete(&purge).await.expect(StatusCode::NO_CONTENT);
    bob.post(&format!("/v1/tasks/{}/restore", id(&tasks[0])), json!({}))
        .await
        .expect_problem(StatusCode::NOT_FOUND, "tasks.task.not_found");
    let purge = format!("/v1/trash/projects/{}", team.project);
    owner
        .delete(&purge)
        .await
        .expect_problem(StatusCode::CONFLICT, "workspaces.project.not_deleted");
    owner
        .delete(&format!("/v1/trash/projects/{other}"))
        .await
        .expect(StatusCode::NO_CONTENT);
    owner
        .post(&format!("/v1/projects/{other}/restore"), json!({}))
        .await
        .expect_problem(StatusCode::NOT_FOUND, "workspaces.project.not_found");
    // Its key is free again, and numbers begin anew once its tasks are gone.
    let again = owner.project(&team.workspace, "OLD").await;
    let first = owner.task(&again, "New").await;
    assert_eq!(first["key"], "OLD-1");
    eventually("the list to be short", || async {
        let left = owner.get(&trash).await;
        (left.items().len() == 1).then_some(())
    })
    .await;
    team.app.stop().await;
}
