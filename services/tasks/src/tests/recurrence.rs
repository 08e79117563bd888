//! Recurring tasks.

use std::time::Duration;

use kernel::ids::TaskId;
use serde_json::{Value, json};

use super::support::{World, body, code, field_codes, if_match, world};
use super::tasks::futures_join;
use crate::model::Status;
use crate::view::{RecurrenceView, TaskView};

async fn set(world: &World, id: TaskId, recurrence: Value) -> kernel::Result<RecurrenceView> {
    world.tick();
    let reply = world
        .service
        .set_recurrence(&world.ann(), id, &if_match(None), body(recurrence))
        .await?;
    Ok(reply.body)
}

/// Hands all waiting work of series to its handler that is due by now, as often as there is some.
async fn run_due(world: &World) {
    for _ in 0..5 {
        let now = kernel::Clock::now(&world.clock);
        let rows = world.due().await;
        for row in rows.iter().filter(|row| row.kind == "tasks.recur" && row.run_at <= now) {
            world.run_due(row).await.unwrap();
        }
    }
}

async fn series(world: &World, id: TaskId) -> RecurrenceView {
    world.service.get_recurrence(&world.ann(), id).await.unwrap()
}

async fn complete(world: &World, id: TaskId) -> TaskView {
    world.tick();
    world
        .service
        .complete_task(&world.ann(), id, &if_match(None), true)
        .await
        .unwrap()
        .body
}

async fn all(world: &World) -> Vec<TaskView> {
    let mut tasks = Vec::new();
    for number in 1..50 {
        match world
            .service
            .get_task_by_key(&world.ann(), world.workspace_id, &format!("ABC-{number}"))
            .await
        {
            Ok(task) => tasks.push(task),
            Err(_) => break,
        }
    }
    tasks
}

/// The clock of the tests starts in 2026; due dates far behind it are never missed.
const FIRST: &str = "2100-01-04";

#[tokio::test]
async fn completing_a_task_makes_the_next_one_like_it() {
    let world = world().await;
    let label = world.label("chore").await;
    let parent = world.create(json!({"title": "House"})).await;
    let task = world
        .create(
            json!({"title": "Bins out", "description": "Both.", "priority": "high", "due_date": FIRST,
            "assignee_ids": [world.ann, world.viewer], "label_ids": [label], "parent_id": parent.id}),
        )
        .await;
    let started = set(&world, task.id, json!({"rule": "FREQ=WEEKLY;BYDAY=MO,TH"})).await.unwrap();
    assert_eq!((started.next_due_date.as_deref(), started.is_current), (Some("2100-01-07"), true));
    assert_eq!(world.read(task.id).await.recurrence_id, Some(started.id));
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 2, "nothing comes before it is done");

    world.neighbour.members.lock().unwrap().remove(&(world.workspace_id, world.viewer));
    complete(&world, task.id).await;
    run_due(&world).await;
    let tasks = all(&world).await;
    let next = &tasks[2];
    assert_eq!(tasks.len(), 3);
    assert_eq!(
        (next.title.as_str(), next.description.as_str(), next.priority),
        ("Bins out", "Both.", task.priority)
    );
    assert_eq!((next.due_date.as_deref(), next.status), (Some("2100-01-07"), Status::Open));
    // Who left the project is not assigned again.
    assert_eq!((&next.assignee_ids, &next.label_ids), (&vec![world.ann], &vec![label]));
    assert_eq!(
        (next.parent_id, next.recurrence_id, next.creator_id),
        (Some(parent.id), Some(started.id), Some(world.ann))
    );
    assert_eq!(series(&world, task.id).await.task_id, next.id);
    assert_eq!(
        code(set(&world, task.id, json!({"rule": "FREQ=DAILY"})).await),
        "tasks.recurrence.not_current"
    );

    // Reopened and done again: the series has gone on, and stays where it is.
    world
        .service
        .complete_task(&world.ann(), task.id, &if_match(None), false)
        .await
        .unwrap();
    complete(&world, task.id).await;
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 3);
}

#[tokio::test]
async fn work_that_comes_twice_or_on_two_replicas_makes_one_task() {
    let world = world().await;
    let task = world.create(json!({"title": "Once", "due_date": FIRST})).await;
    set(&world, task.id, json!({"rule": "FREQ=DAILY"})).await.unwrap();
    complete(&world, task.id).await;
    let rows = world.due().await;
    let row = rows.iter().find(|row| row.kind == "tasks.recur").unwrap();
    let outcomes = futures_join((0..4).map(|_| world.run_due(row))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    world.run_due(row).await.unwrap();
    assert_eq!(all(&world).await.len(), 2);
    let created = world.event_types(0).await.into_iter().filter(|kind| kind == "task_created").count();
    assert_eq!(created, 2);
}

#[tokio::test]
async fn by_schedule_the_next_task_comes_when_the_present_one_is_due() {
    let world = world().await;
    // Noon in Berlin, tomorrow by the clock of the tests.
    let now = kernel::Clock::now(&world.clock);
    let due_at = now.plus(Duration::from_secs(86_400));
    let task = world.create(json!({"title": "Stand-up", "due_at": due_at})).await;
    set(
        &world,
        task.id,
        json!({"rule": "FREQ=DAILY", "trigger": "schedule", "time_zone": "UTC"}),
    )
    .await
    .unwrap();
    complete(&world, task.id).await;
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 1, "done early, and still the next one waits for its time");
    world.clock.advance(Duration::from_secs(86_400 + 60));
    run_due(&world).await;
    let tasks = all(&world).await;
    assert_eq!(tasks.len(), 2);
    assert_eq!(tasks[1].due_at, Some(due_at.plus(Duration::from_secs(86_400))));
    // Away for ten days: what was missed is left out.
    world.clock.advance(Duration::from_secs(10 * 86_400));
    run_due(&world).await;
    let tasks = all(&world).await;
    assert_eq!(tasks.len(), 3);
    assert_eq!(tasks[2].due_at, Some(due_at.plus(Duration::from_secs(11 * 86_400))));
}

#[tokio::test]
async fn a_series_ends_by_itself_by_hand_and_with_nobody_left() {
    let world = world().await;
    let task = world.create(json!({"title": "Twice", "due_date": FIRST})).await;
    set(&world, task.id, json!({"rule": "FREQ=DAILY;COUNT=2"})).await.unwrap();
    for _ in 0..3 {
        let last = all(&world).await.pop().unwrap();
        complete(&world, last.id).await;
        run_due(&world).await;
    }
    assert_eq!(all(&world).await.len(), 2);
    let over = series(&world, task.id).await;
    assert!(over.ended_at.is_some() && over.next_due_at.is_none());

    let task = world.create(json!({"title": "Stopped", "due_date": FIRST})).await;
    set(&world, task.id, json!({"rule": "FREQ=DAILY"})).await.unwrap();
    for _ in 0..2 {
        world.service.end_recurrence(&world.ann(), task.id, &if_match(None)).await.unwrap();
    }
    complete(&world, task.id).await;
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 3);
    assert_eq!(
        code(world.service.skip_occurrence(&world.ann(), task.id, &if_match(None)).await),
        "tasks.recurrence.over"
    );
    // A new rule wakes it again.
    assert!(
        set(&world, task.id, json!({"rule": "FREQ=DAILY"}))
            .await
            .unwrap()
            .ended_at
            .is_none()
    );
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 4);

    let task = world.create(json!({"title": "Archived", "due_date": FIRST})).await;
    set(&world, task.id, json!({"rule": "FREQ=DAILY"})).await.unwrap();
    complete(&world, task.id).await;
    let count = all(&world).await.len();
    world
        .neighbour
        .projects
        .lock()
        .unwrap()
        .get_mut(&world.project_id)
        .unwrap()
        .archived = true;
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), count, "an archived project gets no tasks");
    world
        .neighbour
        .projects
        .lock()
        .unwrap()
        .get_mut(&world.project_id)
        .unwrap()
        .archived = false;
    world.clock.advance(crate::jobs::TOMORROW);
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), count + 1);
}

#[tokio::test]
async fn an_occurrence_is_skipped_and_a_deleted_task_stops_its_series() {
    let world = world().await;
    let task = world.create(json!({"title": "Bins", "due_date": FIRST})).await;
    set(&world, task.id, json!({"rule": "FREQ=DAILY;COUNT=3"})).await.unwrap();
    let none = if_match(None);
    let skipped = world.service.skip_occurrence(&world.ann(), task.id, &none).await.unwrap().body;
    assert_eq!(skipped.due_date.as_deref(), Some("2100-01-05"));
    world.service.skip_occurrence(&world.ann(), task.id, &none).await.unwrap();
    assert_eq!(
        code(world.service.skip_occurrence(&world.ann(), task.id, &none).await),
        "tasks.recurrence.over"
    );

    let task = world.create(json!({"title": "Gone", "due_date": FIRST})).await;
    set(&world, task.id, json!({"rule": "FREQ=DAILY"})).await.unwrap();
    complete(&world, task.id).await;
    world.service.delete_task(&world.ann(), task.id, &none).await.unwrap();
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 1, "numbers 1 and 2, of which the second is deleted");
    world.service.restore_task(&world.ann(), task.id, &none).await.unwrap();
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 3);
}

#[tokio::test]
async fn only_what_is_due_recurs_and_by_a_rule() {
    let world = world().await;
    let task = world.create(json!({"title": "Whenever"})).await;
    assert_eq!(
        code(set(&world, task.id, json!({"rule": "FREQ=DAILY"})).await),
        "tasks.recurrence.due_required"
    );
    assert_eq!(
        code(world.service.get_recurrence(&world.ann(), task.id).await),
        "tasks.recurrence.not_found"
    );
    assert_eq!(
        code(world.service.skip_occurrence(&world.ann(), task.id, &if_match(None)).await),
        "tasks.recurrence.not_found"
    );
    world.patch(task.id, json!({"due_date": FIRST})).await.unwrap();
    let refused = field_codes(set(&world, task.id, json!({"rule": "FREQ=SOMETIMES", "time_zone": "Mars/Olympus"})).await);
    assert_eq!(refused, ["/rule invalid_rule", "/time_zone unknown_time_zone"]);
    let viewer = world.caller(world.viewer);
    let command = body(json!({"rule": "FREQ=DAILY"}));
    assert_eq!(
        code(world.service.set_recurrence(&viewer, task.id, &if_match(None), command).await),
        "tasks.forbidden"
    );
    let first = set(&world, task.id, json!({"rule": "FREQ=DAILY"})).await.unwrap();
    let second = set(&world, task.id, json!({"rule": "FREQ=MONTHLY"})).await.unwrap();
    assert_eq!((second.id, second.next_due_date.as_deref()), (first.id, Some("2100-02-04")));
    let history = world.service.list_activity(&world.ann(), task.id, None, 10).await.unwrap().items;
    let lines: Vec<_> = history
        .into_iter()
        .filter(|line| line.field.as_deref() == Some("recurrence"))
        .map(|line| (line.old, line.new))
        .collect();
    assert_eq!(
        lines,
        [(json!("FREQ=DAILY"), json!("FREQ=MONTHLY")), (Value::Null, json!("FREQ=DAILY"))]
    );
}

#[tokio::test]
async fn a_series_begun_on_a_task_that_is_done_goes_on_at_once() {
    let world = world().await;
    let task = world.create(json!({"title": "Bins", "due_date": FIRST})).await;
    complete(&world, task.id).await;
    set(&world, task.id, json!({"rule": "FREQ=DAILY", "trigger": "schedule"}))
        .await
        .unwrap();
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 1, "by the calendar it is not time yet");
    assert_eq!(
        code(world.service.skip_occurrence(&world.ann(), task.id, &if_match(None)).await),
        "tasks.recurrence.done"
    );
    set(&world, task.id, json!({"rule": "FREQ=DAILY", "trigger": "completion"}))
        .await
        .unwrap();
    run_due(&world).await;
    let tasks = all(&world).await;
    assert_eq!((tasks.len(), tasks[1].due_date.as_deref()), (2, Some("2100-01-05")));

    // Once that series is over, its first task may begin another.
    world
        .service
        .end_recurrence(&world.ann(), tasks[1].id, &if_match(None))
        .await
        .unwrap();
    let second = set(&world, task.id, json!({"rule": "FREQ=WEEKLY"})).await.unwrap();
    assert_ne!(Some(second.id), tasks[1].recurrence_id);
    run_due(&world).await;
    assert_eq!(all(&world).await.len(), 3);
}

#[tokio::test]
async fn a_rule_without_a_date_is_refused() {
    let world = world().await;
    let task = world.create(json!({"title": "Never", "due_date": FIRST})).await;
    for rule in [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=3",
        "FREQ=DAILY;UNTIL=21000103",
        "FREQ=YEARLY;INTERVAL=125",
    ] {
        assert_eq!(
            field_codes(set(&world, task.id, json!({"rule": rule})).await),
            ["/rule no_date"],
            "{rule}"
        );
    }
    for last in ["FREQ=DAILY;UNTIL=21000104", "FREQ=DAILY;COUNT=1"] {
        let series = set(&world, task.id, json!({"rule": last})).await.unwrap();
        assert_eq!(series.next_due_date, None, "{last}: this one is the last");
    }
}
