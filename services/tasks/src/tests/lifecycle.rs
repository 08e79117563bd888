//! Completion, archive, deletion, sub-tasks, reminders.

use std::time::Duration;

use platform::due::Sweep;
use serde_json::json;

use super::support::{body, code, field_codes, if_match, world};
use crate::jobs::PurgeDeleted;
use crate::model::Status;

#[tokio::test]
async fn completion_is_idempotent_and_reopening_undoes_it() {
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    let (service, none) = (&world.service, if_match(None));
    let mut seen = Vec::new();
    for done in [true, true, false, false] {
        world.tick();
        let view = service.complete_task(&world.ann(), task.id, &none, done).await.unwrap().body;
        seen.push((view.status, view.completed_at.is_some(), view.version));
    }
    assert_eq!(
        seen,
        [
            (Status::Done, true, 2),
            (Status::Done, true, 2),
            (Status::Open, false, 3),
            (Status::Open, false, 3)
        ]
    );
    assert_eq!(world.event_types(1).await, ["task_completed", "task_reopened"]);
    // A change of state that means done is a completion, too.
    let done = world.states().await.into_iter().find(|state| state.status == Status::Done).unwrap();
    let view = world.patch(task.id, json!({"state_id": done.id})).await.unwrap();
    assert!(view.completed_at.is_some());
    assert_eq!(world.event_types(3).await, ["task_completed"]);
}

#[tokio::test]
async fn an_archived_task_is_read_only_until_it_is_taken_out() {
    let world = world().await;
    let task = world.create(json!({"title": "a", "due_date": "2026-04-01"})).await;
    let (service, none) = (&world.service, if_match(None));
    for _ in 0..2 {
        service.archive_task(&world.ann(), task.id, &none, true).await.unwrap();
    }
    assert_eq!(code(world.patch(task.id, json!({"title": "b"})).await), "tasks.task.archived");
    assert_eq!(
        code(service.complete_task(&world.ann(), task.id, &none, true).await),
        "tasks.task.archived"
    );
    assert_eq!(
        code(service.create_comment(&world.ann(), task.id, body(json!({"body": "x"}))).await),
        "tasks.task.archived"
    );
    assert!(world.due().await.is_empty());
    for _ in 0..2 {
        service.archive_task(&world.ann(), task.id, &none, false).await.unwrap();
    }
    assert_eq!(world.due().await.len(), 2);
    assert_eq!(world.event_types(1).await, ["task_archived", "task_archived"]);
}

#[tokio::test]
async fn sub_tasks_are_counted_and_their_versions_reach_the_parent() {
    let world = world().await;
    let parent = world.create(json!({"title": "parent"})).await;
    let a = world.create(json!({"title": "a", "parent_id": parent.id})).await;
    let b = world.create(json!({"title": "b", "parent_id": parent.id})).await;
    let none = if_match(None);
    world.service.complete_task(&world.ann(), a.id, &none, true).await.unwrap();
    let counted = world.read(parent.id).await;
    assert_eq!((counted.subtask_count, counted.subtask_done_count, counted.version), (2, 1, 4));
    world.service.delete_task(&world.ann(), a.id, &none).await.unwrap();
    world.patch(b.id, json!({"parent_id": null})).await.unwrap();
    let counted = world.read(parent.id).await;
    assert_eq!((counted.subtask_count, counted.subtask_done_count), (0, 0));
    world.service.restore_task(&world.ann(), a.id, &none).await.unwrap();
    let counted = world.read(parent.id).await;
    assert_eq!((counted.subtask_count, counted.subtask_done_count), (1, 1));
}

#[tokio::test]
async fn sub_tasks_form_no_cycle_and_no_deep_well() {
    let world = world().await;
    let mut chain = vec![world.create(json!({"title": "1"})).await];
    for level in 2..=5 {
        let parent = chain.last().unwrap().id;
        chain.push(world.create(json!({"title": level.to_string(), "parent_id": parent})).await);
    }
    let sixth = json!({"title": "6", "parent_id": chain[4].id});
    let result = world.service.create_task(&world.ann(), world.project_id, body(sixth)).await;
    assert_eq!(field_codes(result), ["/parent_id too_deep"]);
    assert_eq!(
        field_codes(world.patch(chain[0].id, json!({"parent_id": chain[0].id})).await),
        ["/parent_id cycle"]
    );
    assert_eq!(
        field_codes(world.patch(chain[1].id, json!({"parent_id": chain[3].id})).await),
        ["/parent_id cycle"]
    );
    // A whole branch counts with its depth.
    let top = world.create(json!({"title": "top"})).await;
    assert_eq!(
        field_codes(world.patch(chain[0].id, json!({"parent_id": top.id})).await),
        ["/parent_id too_deep"]
    );
    assert_eq!(
        world.patch(chain[1].id, json!({"parent_id": top.id})).await.unwrap().parent_id,
        Some(top.id)
    );
    let foreign = world
        .service
        .create_task(&world.ann(), world.other_project_id, body(json!({"title": "x"})))
        .await
        .unwrap()
        .body;
    assert_eq!(
        field_codes(world.patch(top.id, json!({"parent_id": foreign.id})).await),
        ["/parent_id unknown_parent"]
    );
}

#[tokio::test]
async fn a_subtree_is_deleted_and_restored_together() {
    let world = world().await;
    let root = world.create(json!({"title": "root"})).await;
    let child = world.create(json!({"title": "child", "parent_id": root.id})).await;
    let leaf = world
        .create(json!({"title": "leaf", "parent_id": child.id, "due_date": "2026-04-01"}))
        .await;
    let earlier = world.create(json!({"title": "earlier", "parent_id": root.id})).await;
    let (service, none) = (&world.service, if_match(None));
    service.delete_task(&world.ann(), earlier.id, &none).await.unwrap();
    let before = world.events().await.len();
    service.delete_task(&world.ann(), root.id, &none).await.unwrap();
    // One entry in the audit log for all of them.
    assert_eq!(
        world.event_types(before).await,
        ["audit.action_recorded", "task_deleted", "task_deleted", "task_deleted"]
    );
    assert!(world.due().await.is_empty());
    for id in [root.id, child.id, leaf.id] {
        assert_eq!(code(service.get_task(&world.ann(), id).await), "tasks.task.not_found");
    }
    assert_eq!(
        code(service.restore_task(&world.ann(), leaf.id, &none).await),
        "tasks.task.parent_deleted"
    );
    let restored = service.restore_task(&world.ann(), root.id, &none).await.unwrap().body;
    assert_eq!((restored.subtask_count, restored.deleted_at), (1, None));
    assert_eq!(world.read(child.id).await.subtask_count, 1);
    assert_eq!(world.read(leaf.id).await.parent_id, Some(child.id));
    assert_eq!(code(service.get_task(&world.ann(), earlier.id).await), "tasks.task.not_found");
    assert_eq!(world.due().await.len(), 2);
    // Restoring what is there changes nothing.
    let version = world.read(root.id).await.version;
    assert_eq!(
        service.restore_task(&world.ann(), root.id, &none).await.unwrap().version,
        Some(version)
    );
}

#[tokio::test]
async fn the_sweep_erases_what_nobody_restored_in_time() {
    let world = world().await;
    let label = world.label("l").await;
    let old = world
        .create(json!({"title": "old", "label_ids": [label], "assignee_ids": [world.ann]}))
        .await;
    let young = world.create(json!({"title": "young"})).await;
    let none = if_match(None);
    world
        .service
        .create_comment(&world.ann(), old.id, body(json!({"body": "x"})))
        .await
        .unwrap();
    world.service.delete_task(&world.ann(), old.id, &none).await.unwrap();
    world.clock.advance(Duration::from_secs(2 * 86_400));
    world.service.delete_task(&world.ann(), young.id, &none).await.unwrap();
    world.clock.advance(Duration::from_secs(29 * 86_400));
    PurgeDeleted(world.service.clone()).run().await.unwrap();
    assert_eq!(
        code(world.service.restore_task(&world.ann(), old.id, &none).await),
        "tasks.task.not_found"
    );
    assert_eq!(
        world.service.restore_task(&world.ann(), young.id, &none).await.unwrap().body.title,
        "young"
    );
    assert_eq!(
        world.create(json!({"title": "next"})).await.number,
        3,
        "numbers are never given again"
    );
}

#[tokio::test]
async fn reminders_follow_the_due_moment_and_are_sent_once() {
    let world = world().await;
    let task = world
        .create(json!({"title": "a", "due_at": "2026-03-10T12:00:00Z", "assignee_ids": [world.ann]}))
        .await;
    let due = world.due().await;
    assert_eq!(
        due.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(),
        ["tasks.due_soon", "tasks.overdue"]
    );
    assert_eq!(due[0].run_at.to_string(), "2026-03-09T12:00:00Z");
    assert_eq!(due[1].run_at.to_string(), "2026-03-10T12:00:00Z");
    world.patch(task.id, json!({"due_at": "2026-03-12T12:00:00Z"})).await.unwrap();
    let before = world.events().await.len();
    // What was taken up before the change no longer counts.
    world.run_due(&due[0]).await.unwrap();
    assert_eq!(world.events().await.len(), before);
    let moved = world.due().await;
    assert_eq!((moved.len(), moved[0].run_at.to_string()), (2, "2026-03-11T12:00:00Z".into()));
    for _ in 0..2 {
        world.run_due(&moved[0]).await.unwrap();
        world.run_due(&moved[1]).await.unwrap();
    }
    let events = world.events().await.split_off(before);
    assert_eq!(
        events.iter().map(|event| event.0.as_str()).collect::<Vec<_>>(),
        ["tasks.task_due_soon.v1", "tasks.task_overdue.v1"]
    );
    assert_eq!(events[0].1["assignee_ids"], json!([world.ann]));
    assert_eq!(world.read(task.id).await.version, 2, "nobody sees that a reminder was sent");
    world
        .service
        .complete_task(&world.ann(), task.id, &if_match(None), true)
        .await
        .unwrap();
    assert!(world.due().await.is_empty());
    let before = world.events().await.len();
    world.run_due(&moved[1]).await.unwrap();
    assert_eq!(world.events().await.len(), before);
}
