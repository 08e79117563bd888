//! Creating, changing and reading tasks.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::ids::{EntityId, TaskId, UserId};
use serde_json::json;

use super::support::{body, code, field_codes, if_match, world};
use crate::command::CreateTask;
use crate::model::{Priority, Status};

#[tokio::test]
async fn a_task_is_created_whole_and_read_back() {
    let world = world().await;
    let label = world.label("Bug").await;
    let task = world
        .create(json!({
            "title": "  Fix the lift ", "description": "Ask @[Ann](user:x)", "priority": "high", "due_date": "2026-03-29",
            "assignee_ids": [world.owner, world.ann, world.owner], "label_ids": [label],
        }))
        .await;
    assert_eq!((task.key.as_str(), task.number, task.version), ("ABC-1", 1, 1));
    assert_eq!(
        (task.title.as_str(), task.priority, task.status),
        ("Fix the lift", Priority::High, Status::Open)
    );
    assert_eq!(task.due_date.as_deref(), Some("2026-03-29"));
    // Berlin, the day the clocks go forward.
    assert_eq!(task.due_at.unwrap().to_string(), "2026-03-29T21:59:59.999999Z");
    assert_eq!(
        task.assignee_ids.iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([&world.owner, &world.ann])
    );
    assert_eq!((task.label_ids.clone(), task.creator_id), (vec![label], Some(world.ann)));
    assert_eq!(world.read(task.id).await, task);
    let by_key = world
        .service
        .get_task_by_key(&world.ann(), world.workspace_id, "abc-1")
        .await
        .unwrap();
    assert_eq!(by_key, task);
    assert_eq!(
        code(world.service.get_task_by_key(&world.ann(), world.workspace_id, "ABC-2").await),
        "tasks.task.not_found"
    );
}

#[tokio::test]
async fn fifty_parallel_creations_get_the_numbers_1_to_50() {
    let world = Arc::new(world().await);
    // The first use of the workspace happens in all of them at once, too: its states are made once.
    let creations = (0..50).map(|i| {
        let world = world.clone();
        async move {
            let command = body(json!({ "title": format!("Task {i}") }));
            world
                .service
                .create_task(&world.ann(), world.project_id, command)
                .await
                .unwrap()
                .body
        }
    });
    let tasks = futures_join(creations).await;
    let numbers: BTreeSet<i64> = tasks.iter().map(|task| task.number).collect();
    assert_eq!(numbers, (1..=50).collect());
    assert_eq!(world.states().await.len(), 4);
    let other = world
        .service
        .create_task(&world.ann(), world.other_project_id, body(json!({"title": "First"})))
        .await
        .unwrap();
    assert_eq!(other.body.key, "XYZ-1");
}

/// Runs futures concurrently on this task.
pub(super) async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(Box::pin).map(Some).collect();
    let mut done: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in pending.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let std::task::Poll::Ready(value) = running.as_mut().poll(context)
            {
                *output = Some(value);
                *future = None;
            }
        }
        if pending.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn all_field_errors_are_collected_and_reveal_nothing_foreign() {
    let world = world().await;
    let nobody = UserId::generate(&world.clock);
    let command = json!({
        "title": " ", "description": "x".repeat(100_001), "state_id": world.ann, "due_date": "2026-02-30",
        "assignee_ids": [world.ann, nobody, world.stranger], "label_ids": [world.ann], "parent_id": world.ann,
    });
    let result = world.service.create_task(&world.ann(), world.project_id, body(command)).await;
    assert_eq!(
        field_codes(result),
        [
            "/title blank",
            "/description too_long",
            "/due_date invalid_date",
            "/state_id unknown_state",
            "/assignee_ids/1 not_a_member",
            "/assignee_ids/2 not_a_member",
            "/label_ids/0 unknown_label",
            "/parent_id unknown_parent",
        ]
    );
    let both = json!({"title": "a", "due_date": "2026-01-01", "due_at": "2026-01-01T00:00:00Z"});
    assert_eq!(
        field_codes(world.service.create_task(&world.ann(), world.project_id, body(both)).await),
        ["/due_at exclusive"]
    );
    assert!(world.events().await.is_empty());
    assert!(serde_json::from_value::<CreateTask>(json!({"title": "a", "number": 7})).is_err());
}

#[tokio::test]
async fn roles_decide_between_404_403_and_409() {
    let world = world().await;
    let task = world.create(json!({"title": "Secret"})).await;
    let service = &world.service;
    let (viewer, stranger) = (world.caller(world.viewer), world.caller(world.stranger));
    let none = if_match(None);
    assert_eq!(service.get_task(&viewer, task.id).await.unwrap().id, task.id);
    assert_eq!(code(service.get_task(&stranger, task.id).await), "tasks.task.not_found");
    assert_eq!(
        code(service.create_task(&stranger, world.project_id, body(json!({"title": "a"}))).await),
        "tasks.project.not_found"
    );
    assert_eq!(
        code(service.create_task(&viewer, world.project_id, body(json!({"title": "a"}))).await),
        "tasks.forbidden"
    );
    assert_eq!(
        code(service.update_task(&viewer, task.id, &none, body(json!({}))).await),
        "tasks.forbidden"
    );
    assert_eq!(code(service.delete_task(&viewer, task.id, &none).await), "tasks.forbidden");
    assert_eq!(code(service.delete_task(&stranger, task.id, &none).await), "tasks.task.not_found");
    world
        .neighbour
        .projects
        .lock()
        .unwrap()
        .get_mut(&world.project_id)
        .unwrap()
        .archived = true;
    assert_eq!(code(world.patch(task.id, json!({"title": "b"})).await), "tasks.project.archived");
    assert_eq!(
        code(
            service
                .create_task(&world.ann(), world.project_id, body(json!({"title": "a"})))
                .await
        ),
        "tasks.project.archived"
    );
    assert_eq!(world.read(task.id).await.title, "Secret");
}

#[tokio::test]
async fn a_merge_patch_changes_what_it_names_and_announces_exactly_that() {
    let world = world().await;
    let label = world.label("Bug").await;
    let task = world
        .create(json!({"title": "One", "priority": "low", "assignee_ids": [world.ann], "due_date": "2026-04-01"}))
        .await;
    let before = world.events().await.len();
    let mention = format!("Hello @[Owner](user:{}) and @[Stranger](user:{})", world.owner, world.stranger);
    let changed = world
        .patch(
            task.id,
            json!({"title": "Two", "description": mention, "priority": null, "assignee_ids": [world.owner], "label_ids": [label], "due_at": "2026-05-01T10:00:00+02:00"}),
        )
        .await
        .unwrap();
    assert_eq!(
        (changed.title.as_str(), changed.version, changed.priority),
        ("Two", 2, Priority::None)
    );
    assert_eq!(
        (changed.due_date, changed.due_at.unwrap().to_string()),
        (None, "2026-05-01T08:00:00Z".into())
    );
    assert_eq!(
        (changed.assignee_ids.clone(), changed.label_ids.clone()),
        (vec![world.owner], vec![label])
    );
    let events = world.events().await.split_off(before);
    assert_eq!(events[0].0, "tasks.task_assigned.v1");
    assert_eq!(
        (&events[0].1["added_ids"], &events[0].1["removed_ids"]),
        (&json!([world.owner]), &json!([world.ann]))
    );
    assert_eq!(events[1].0, "tasks.task_updated.v1");
    assert_eq!(
        events[1].1["changed"],
        json!(["title", "description", "priority", "due_at", "label_ids"])
    );
    // Only who can read the project is mentioned.
    assert_eq!(events[1].1["mentioned_ids"], json!([world.owner]));
    assert_eq!((events.len(), &events[1].1["version"]), (2, &json!(2)));
    let history = world.service.list_activity(&world.ann(), task.id, None, 50).await.unwrap().items;
    let title = history.iter().find(|line| line.field.as_deref() == Some("title")).unwrap();
    assert_eq!(
        (&title.old, &title.new, title.actor_id),
        (&json!("One"), &json!("Two"), Some(world.ann))
    );
    assert_eq!(history.last().unwrap().kind, "created");
}

#[tokio::test]
async fn a_patch_that_changes_nothing_writes_and_announces_nothing() {
    let world = world().await;
    let task = world
        .create(json!({"title": "Same", "assignee_ids": [world.ann], "due_date": "2026-04-01"}))
        .await;
    let before = world.events().await.len();
    let same = world
        .patch(
            task.id,
            json!({"title": "Same", "assignee_ids": [world.ann], "due_date": "2026-04-01", "label_ids": null}),
        )
        .await;
    assert_eq!(same.unwrap(), task);
    assert_eq!(world.patch(task.id, json!({})).await.unwrap(), task);
    assert_eq!(world.events().await.len(), before);
    assert_eq!(
        world
            .service
            .list_activity(&world.ann(), task.id, None, 50)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn null_clears_only_what_can_be_empty() {
    let world = world().await;
    let task = world.create(json!({"title": "a", "due_at": "2026-04-01T10:00:00Z"})).await;
    let codes = field_codes(world.patch(task.id, json!({"title": null, "state_id": null})).await);
    assert_eq!(codes, ["/title not_null", "/state_id not_null"]);
    let kept = world.patch(task.id, json!({"due_date": null})).await.unwrap();
    assert!(kept.due_at.is_some(), "a due moment is no due day");
    let cleared = world.patch(task.id, json!({"due_at": null})).await.unwrap();
    assert_eq!((cleared.due_at, cleared.due_date), (None, None));
}

#[tokio::test]
async fn if_match_guards_and_strict_workspaces_demand_it() {
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    let service = &world.service;
    let patch = |title: &str| body(json!({ "title": title }));
    assert_eq!(
        service
            .update_task(&world.ann(), task.id, &if_match(Some(1)), patch("b"))
            .await
            .unwrap()
            .version,
        Some(2)
    );
    assert_eq!(
        code(service.update_task(&world.ann(), task.id, &if_match(Some(1)), patch("c")).await),
        "request.version_mismatch"
    );
    *world.neighbour.strict.lock().unwrap() = true;
    let result = service.update_task(&world.ann(), task.id, &if_match(None), patch("c")).await;
    assert_eq!(result.unwrap_err().kind.http_status(), 428);
    assert_eq!(
        service
            .complete_task(&world.ann(), task.id, &if_match(None), true)
            .await
            .unwrap_err()
            .kind
            .http_status(),
        428
    );
    assert_eq!(
        service
            .update_task(&world.ann(), task.id, &if_match(Some(2)), patch("c"))
            .await
            .unwrap()
            .body
            .title,
        "c"
    );
}

#[tokio::test]
async fn of_parallel_changes_of_one_version_exactly_one_wins() {
    let world = Arc::new(world().await);
    let task = world.create(json!({"title": "a"})).await;
    let changes = (0..8).map(|i| {
        let world = world.clone();
        async move {
            let command = body(json!({ "title": format!("title {i}") }));
            world.service.update_task(&world.ann(), task.id, &if_match(Some(1)), command).await
        }
    });
    let results = futures_join(changes).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(world.read(task.id).await.version, 2);
}

#[tokio::test]
async fn assigning_one_person_is_idempotent() {
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    let (service, none) = (&world.service, if_match(None));
    for _ in 0..2 {
        let view = service.assign(&world.ann(), task.id, world.viewer, &none).await.unwrap().body;
        assert_eq!((view.assignee_ids, view.version), (vec![world.viewer], 2));
    }
    assert_eq!(
        code(service.assign(&world.ann(), task.id, world.stranger, &none).await),
        "tasks.assignee.not_found"
    );
    for _ in 0..2 {
        let view = service.unassign(&world.ann(), task.id, world.viewer, &none).await.unwrap().body;
        assert_eq!((view.assignee_ids, view.version), (vec![], 3));
    }
    assert_eq!(world.event_types(1).await, ["task_assigned", "task_assigned"]);
}

#[tokio::test]
async fn other_services_get_summaries_without_deleted_tasks() {
    use contracts::tasks::{GetTasks, Tasks};
    let world = world().await;
    let kept = world.create(json!({"title": "kept", "assignee_ids": [world.owner]})).await;
    let gone = world.create(json!({"title": "gone"})).await;
    world.service.delete_task(&world.ann(), gone.id, &if_match(None)).await.unwrap();
    let ids = vec![kept.id, gone.id, TaskId::generate(&world.clock)];
    let summaries = world.service.get_tasks(&world.ann().call(), GetTasks { ids }).await.unwrap();
    assert_eq!(summaries.len(), 1);
    assert_eq!(
        (summaries[0].key.as_str(), summaries[0].assignee_ids.clone()),
        ("ABC-1", vec![world.owner])
    );
}

#[tokio::test]
async fn due_dates_lie_in_years_that_have_moments_in_every_zone() {
    let world = world().await;
    let refused = async |command| field_codes(world.service.create_task(&world.ann(), world.project_id, body(command)).await);
    for date in ["9999-12-31", "0000-06-01"] {
        assert_eq!(
            refused(json!({"title": "a", "due_date": date})).await,
            ["/due_date out_of_range"],
            "{date}"
        );
    }
    for at in ["9999-01-01T00:00:00Z", "9999-12-30T22:00:00Z", "0000-12-31T23:00:00Z"] {
        assert_eq!(refused(json!({"title": "a", "due_at": at})).await, ["/due_at out_of_range"], "{at}");
    }
    let task = world.create(json!({"title": "a", "due_date": "9998-12-31"})).await;
    assert_eq!(task.due_at.unwrap().to_string(), "9998-12-31T22:59:59.999999Z");
    for (patch, code) in [
        (json!({"due_date": "9999-12-31"}), "/due_date out_of_range"),
        (json!({"due_at": "9999-06-01T00:00:00Z"}), "/due_at out_of_range"),
    ] {
        assert_eq!(field_codes(world.patch(task.id, patch).await), [code]);
    }
    assert_eq!(world.read(task.id).await, task);
}
