//! Batches: all or nothing, or each for itself.

use kernel::ids::{EntityId, TaskId};
use serde_json::json;

use super::support::{body, field_codes, world};
use crate::model::Status;

#[tokio::test]
async fn an_atomic_batch_does_everything_in_one_unit() {
    let world = world().await;
    let parent = world.create(json!({"title": "parent"})).await;
    let child = world.create(json!({"title": "child", "parent_id": parent.id})).await;
    let gone = world.create(json!({"title": "gone"})).await;
    let operations = json!({"operations": [
        {"op": "create", "project_id": world.project_id, "task": {"title": "new", "parent_id": parent.id}},
        {"op": "complete", "task_id": child.id},
        {"op": "update", "task_id": parent.id, "version": 2, "patch": {"title": "Parent"}},
        {"op": "delete", "task_id": gone.id},
        {"op": "create", "project_id": world.other_project_id, "task": {"title": "elsewhere"}},
    ]});
    let reply = world.service.batch(&world.ann(), body(operations)).await.unwrap();
    let results = reply.body.results;
    assert_eq!(
        (reply.status, results.iter().map(|item| item.status).collect::<Vec<_>>()),
        (200, vec![201, 200, 200, 204, 201])
    );
    let tasks: Vec<_> = results.into_iter().filter_map(|item| item.task).collect();
    assert_eq!(
        (tasks[0].number, tasks[1].status, tasks[3].key.as_str()),
        (4, Status::Done, "XYZ-1")
    );
    // Counted twice and changed itself: the reply shows the committed version.
    let read = world.read(parent.id).await;
    assert_eq!((read.subtask_count, read.subtask_done_count, read.version), (2, 1, 5));
    assert_eq!(tasks[2], read);
}

#[tokio::test]
async fn an_atomic_batch_with_an_error_does_nothing_and_names_every_field() {
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    let before = world.events().await.len();
    let operations = json!({"operations": [
        {"op": "update", "task_id": task.id, "patch": {"title": "b"}},
        {"op": "create", "project_id": world.project_id, "task": {"title": ""}},
        {"op": "create", "project_id": world.project_id, "task": {"title": "c", "assignee_ids": [world.stranger]}},
    ]});
    let result = world.service.batch(&world.ann(), body(operations)).await;
    assert_eq!(
        field_codes(result),
        ["/operations/1/task/title blank", "/operations/2/task/assignee_ids/0 not_a_member"]
    );
    let missing =
        json!({"operations": [{"op": "complete", "task_id": task.id}, {"op": "complete", "task_id": TaskId::generate(&world.clock)}]});
    let error = world.service.batch(&world.ann(), body(missing)).await.unwrap_err();
    assert_eq!(
        (error.code.as_ref(), error.fields[0].pointer.as_str()),
        ("tasks.task.not_found", "/operations/1")
    );
    assert_eq!((world.read(task.id).await, world.events().await.len()), (task.clone(), before));
    let twice = json!({"operations": [{"op": "complete", "task_id": task.id}, {"op": "archive", "task_id": task.id}]});
    assert_eq!(
        field_codes(world.service.batch(&world.ann(), body(twice)).await),
        ["/operations/1/task_id repeated"]
    );
    assert_eq!(
        field_codes(world.service.batch(&world.ann(), body(json!({"operations": []}))).await),
        ["/operations out_of_range"]
    );
}

#[tokio::test]
async fn without_atomicity_each_operation_stands_for_itself() {
    let world = world().await;
    let parent = world.create(json!({"title": "parent"})).await;
    let child = world.create(json!({"title": "child", "parent_id": parent.id})).await;
    let operations = json!({"atomic": false, "operations": [
        {"op": "complete", "task_id": child.id},
        {"op": "complete", "task_id": parent.id},
        {"op": "complete", "task_id": TaskId::generate(&world.clock)},
        {"op": "create", "project_id": world.project_id, "task": {"title": " "}},
        {"op": "archive", "task_id": parent.id, "version": 1},
    ]});
    let mut operations: crate::command::Batch = body(operations);
    operations.operations.truncate(4);
    let reply = world.service.batch(&world.ann(), operations).await.unwrap();
    let statuses: Vec<u16> = reply.body.results.iter().map(|item| item.status).collect();
    assert_eq!((reply.status, statuses), (207, vec![200, 200, 404, 422]));
    let problem = reply.body.results[3].problem.as_ref().unwrap();
    assert_eq!(problem.errors[0].pointer, "/operations/3/task/title");
    assert_eq!(world.read(parent.id).await.status, Status::Done);
    let stale = body(json!({"atomic": false, "operations": [{"op": "archive", "task_id": parent.id, "version": 1}]}));
    assert_eq!(world.service.batch(&world.ann(), stale).await.unwrap().body.results[0].status, 412);
}

/// Each move alone would be fine; together they would close a cycle or dig too deep.
#[tokio::test]
async fn an_atomic_batch_cannot_close_a_cycle_or_dig_too_deep() {
    let world = world().await;
    let mut tasks = Vec::new();
    for number in 0..7 {
        tasks.push(world.create(json!({"title": format!("t{number}")})).await);
    }
    let place = |child: usize, parent: usize| json!({"op": "update", "task_id": tasks[child].id, "patch": {"parent_id": tasks[parent].id}});
    let swap = json!({"operations": [place(0, 1), place(1, 0)]});
    let result = world.service.batch(&world.ann(), body(swap)).await;
    assert_eq!(field_codes(result), ["/operations/0/patch/parent_id overlap"]);
    let chain: Vec<_> = (0..6).map(|index| place(index + 1, index)).collect();
    let result = world.service.batch(&world.ann(), body(json!({ "operations": chain }))).await;
    assert_eq!(field_codes(result), ["/operations/1/patch/parent_id overlap"]);
    for task in &tasks {
        assert_eq!(world.read(task.id).await.parent_id, None, "nothing was written");
    }
}
