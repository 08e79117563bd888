//! Relations, saved views, recurring tasks and calendar feeds over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::tasks_http::{team, titles};

#[tokio::test(flavor = "multi_thread")]
async fn tasks_block_one_another_across_projects() {
    let team = team().await;
    let bob = &team.bob;
    let other = team.owner.project(&team.workspace, "OTHER").await;
    let (a, b) = (bob.task(&team.project, "Paint").await, bob.task(&other, "Order paint").await);
    let path = |own: &Value, relation: &str, other: &Value| {
        format!(
            "/v1/tasks/{}/relations/{relation}/{}",
            own["id"].as_str().unwrap(),
            other["id"].as_str().unwrap()
        )
    };
    let made = bob.mark(&path(&a, "blocked_by", &b)).await.expect(StatusCode::OK);
    assert_eq!(
        (&made.body["relation"], &made.body["task"]["key"]),
        (&json!("blocked_by"), &json!("OTHER-1"))
    );
    bob.mark(&path(&a, "blocks", &b))
        .await
        .expect_problem(StatusCode::CONFLICT, "tasks.relation.cycle");
    bob.mark(&path(&a, "hates", &b))
        .await
        .expect_problem(StatusCode::NOT_FOUND, "tasks.relation.unknown");
    let seen = team
        .viewer
        .get(&format!("/v1/tasks/{}/relations", b["id"].as_str().unwrap()))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&seen.items()[0]["relation"], &seen.items()[0]["task"]["title"]),
        (&json!("blocks"), &json!("Paint"))
    );
    let foreign = team.stranger.workspace("Third").await;
    let foreign = team.stranger.project(&foreign, "FAR").await;
    let foreign = team.stranger.task(&foreign, "Secret").await;
    bob.mark(&path(&a, "relates", &foreign))
        .await
        .expect_problem(StatusCode::NOT_FOUND, "tasks.task.not_found");
    bob.delete(&path(&b, "blocks", &a)).await.expect(StatusCode::NO_CONTENT);
    let none = bob.get(&format!("/v1/tasks/{}/relations", a["id"].as_str().unwrap())).await;
    assert!(none.items().is_empty());
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_view_runs_as_whoever_looks() {
    let team = team().await;
    let bob = &team.bob;
    for (title, who) in [("One", &bob.user_id), ("Two", &team.owner.user_id), ("Three", &bob.user_id)] {
        bob.post(&team.tasks(), json!({"title": title, "assignee_ids": [who]}))
            .await
            .expect(StatusCode::CREATED);
    }
    let views = format!("/v1/workspaces/{}/views", team.workspace);
    let command = json!({"name": "Mine", "query": "assignee=me&sort=title", "visibility": "shared", "is_default": true});
    let view = bob.post(&views, command).await.expect(StatusCode::CREATED);
    let path = format!("{views}/{}", view.id());
    assert_eq!((view.header("location"), view.header("etag")), (Some(path.as_str()), Some("\"1\"")));
    let first = bob.get(&format!("{path}/tasks?limit=1&fields=title")).await.expect(StatusCode::OK);
    assert_eq!(titles(first.items()), ["One"]);
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let rest = bob
        .get(&format!("{path}/tasks?limit=1&cursor={cursor}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(titles(rest.items()), ["Three"]);
    assert_eq!(titles(team.owner.get(&format!("{path}/tasks")).await.items()), ["Two"]);
    bob.get(&format!("{path}/tasks?status=open")).await.expect(StatusCode::BAD_REQUEST);
    let refused = bob
        .post(&views, json!({"name": "Bad", "query": "colour=red"}))
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    assert_eq!(refused.body["errors"][0]["pointer"], "/query");
    bob.patch_if(&path, 7, json!({"name": "x"}))
        .await
        .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
    bob.patch_if(&path, 1, json!({"visibility": "personal"}))
        .await
        .expect(StatusCode::OK);
    team.owner
        .get(&path)
        .await
        .expect_problem(StatusCode::NOT_FOUND, "tasks.view.not_found");
    bob.delete_if(&path, 2).await.expect(StatusCode::NO_CONTENT);
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurring_task_comes_again_when_it_is_done() {
    let team = team().await;
    let bob = &team.bob;
    let body = json!({"title": "Bins", "due_date": "2100-01-04", "assignee_ids": [bob.user_id]});
    let task = bob.post(&team.tasks(), body).await.expect(StatusCode::CREATED);
    let path = format!("/v1/tasks/{}", task.id());
    let recurrence = format!("{path}/recurrence");
    bob.get(&recurrence)
        .await
        .expect_problem(StatusCode::NOT_FOUND, "tasks.recurrence.not_found");
    bob.put(&recurrence, json!({"rule": "FREQ=HOURLY"}))
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid");
    let series = bob
        .put(&recurrence, json!({"rule": "FREQ=WEEKLY;COUNT=3", "time_zone": "Europe/Berlin"}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&series.body["next_due_date"], &series.body["trigger"]),
        (&json!("2100-01-11"), &json!("completion"))
    );
    let skipped = bob
        .send(bob.request(Method::POST, &format!("{recurrence}/skip")))
        .await
        .expect(StatusCode::OK);
    assert_eq!(skipped.body["due_date"], "2100-01-11");
    bob.mark(&format!("{path}/completion")).await.expect(StatusCode::OK);
    let next = eventually("the next task", || async {
        let open = bob.get(&format!("{}?status=open", team.tasks())).await;
        open.items().first().cloned()
    })
    .await;
    assert_eq!(
        (&next["due_date"], &next["recurrence_id"], &next["assignee_ids"]),
        (&json!("2100-01-18"), &series.body["id"], &json!([bob.user_id]))
    );
    let next = format!("/v1/tasks/{}", next["id"].as_str().unwrap());
    bob.send(bob.request(Method::POST, &format!("{next}/recurrence/skip")))
        .await
        .expect_problem(StatusCode::CONFLICT, "tasks.recurrence.over");
    bob.delete(&format!("{next}/recurrence")).await.expect(StatusCode::NO_CONTENT);
    team.viewer.get(&recurrence).await.expect(StatusCode::OK);
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_subscribes_to_a_secret_link_until_it_is_revoked() {
    let team = team().await;
    let (bob, anyone) = (&team.bob, team.app.anonymous());
    let body = json!({"title": "Zażółć, gęślą; jaźń", "due_date": "2100-01-04", "assignee_ids": [bob.user_id]});
    let task = bob.post(&team.tasks(), body).await.expect(StatusCode::CREATED);
    let feed = bob
        .post("/v1/me/calendar-feeds", json!({"name": "Bob's"}))
        .await
        .expect(StatusCode::CREATED);
    let link = feed.body["path"].as_str().unwrap();
    let calendar = anyone
        .send(anyone.request(Method::GET, link).header("accept", "text/calendar"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(calendar.header("content-type"), Some("text/calendar; charset=utf-8"));
    assert_eq!(calendar.header("cache-control"), Some("private, no-cache"));
    let expected = format!("UID:{}@guildhall\r\n", task.id());
    assert!(
        calendar.text.contains(&expected) && calendar.text.contains("SUMMARY:ABC-1 Zażółć\\, gęślą\\; jaźń\r\n"),
        "{}",
        calendar.text
    );
    let tag = calendar.header("etag").unwrap();
    let same = anyone.send(anyone.request(Method::GET, link).header("if-none-match", tag)).await;
    assert_eq!((same.status, same.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    let listed = bob.get("/v1/me/calendar-feeds").await.expect(StatusCode::OK);
    assert!(listed.items().len() == 1 && !listed.text.contains(link));

    // Who is removed has an empty calendar from the next request on.
    let member = format!("/v1/workspaces/{}/members/{}", team.workspace, bob.user_id);
    let removal = team.owner.request(Method::DELETE, &member).header("if-match", "*");
    team.owner.send(removal).await.expect(StatusCode::NO_CONTENT);
    let empty = anyone.get(link).await.expect(StatusCode::OK);
    assert!(!empty.text.contains("VEVENT"), "{}", empty.text);
    bob.delete(&format!("/v1/me/calendar-feeds/{}", feed.id()))
        .await
        .expect(StatusCode::NO_CONTENT);
    anyone.get(link).await.expect_problem(StatusCode::NOT_FOUND, "tasks.feed.not_found");
    team.app.stop().await;
}
