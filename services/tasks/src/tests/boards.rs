//! Moving tasks on the board.

use serde_json::{Value, json};

use super::support::{World, body, field_codes, if_match, world};
use crate::model::Status;
use crate::service::list::{Criteria, Shape};
use crate::store::list::{Sort, SortKey};
use crate::view::{TaskItem, TaskView};

async fn order(world: &World) -> Vec<String> {
    let criteria = Criteria {
        sorts: vec![Sort {
            key: SortKey::Position,
            descending: false,
        }],
        ..Criteria::default()
    };
    let shape = Shape {
        limit: 50,
        ..Shape::default()
    };
    let page = world.service.list_tasks(&world.ann(), criteria, shape).await.unwrap();
    page.items
        .into_iter()
        .map(|item| match item {
            TaskItem::Whole(view) => view.title,
            TaskItem::Part(_) => unreachable!(),
        })
        .collect()
}

async fn drop_at(world: &World, task: &TaskView, command: Value) -> kernel::Result<TaskView> {
    world.tick();
    let reply = world
        .service
        .move_task(&world.ann(), task.id, &if_match(None), body(command))
        .await?;
    Ok(reply.body)
}

#[tokio::test]
async fn tasks_land_where_they_are_dropped() {
    let world = world().await;
    let mut tasks = Vec::new();
    for title in ["a", "b", "c", "d"] {
        tasks.push(world.create(json!({ "title": title })).await);
    }
    let [a, b, c, d] = &tasks[..] else { unreachable!() };
    assert_eq!(order(&world).await, ["a", "b", "c", "d"]);
    drop_at(&world, d, json!({"after_id": a.id, "before_id": b.id})).await.unwrap();
    assert_eq!(order(&world).await, ["a", "d", "b", "c"]);
    drop_at(&world, c, json!({"before_id": a.id})).await.unwrap();
    assert_eq!(order(&world).await, ["c", "a", "d", "b"]);
    drop_at(&world, c, json!({"after_id": d.id})).await.unwrap();
    assert_eq!(order(&world).await, ["a", "d", "c", "b"]);
    drop_at(&world, a, json!({})).await.unwrap();
    assert_eq!(order(&world).await, ["d", "c", "b", "a"]);
    world.create(json!({"title": "e"})).await;
    assert_eq!(order(&world).await, ["d", "c", "b", "a", "e"]);
    let before = world.events().await.len();
    let again = drop_at(&world, c, json!({"after_id": d.id, "before_id": b.id})).await.unwrap();
    assert_eq!((again.version, world.events().await.len()), (3, before), "already there");
}

#[tokio::test]
async fn a_move_into_another_column_is_a_change_of_state() {
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    let done = world.states().await.into_iter().find(|state| state.status == Status::Done).unwrap();
    let before = world.events().await.len();
    let moved = drop_at(&world, &task, json!({"state_id": done.id})).await.unwrap();
    assert_eq!((moved.status, moved.completed_at.is_some()), (Status::Done, true));
    assert_eq!(world.event_types(before).await[0], "task_completed");
}

#[tokio::test]
async fn neighbours_are_other_live_tasks_of_the_project_in_their_order() {
    let world = world().await;
    let a = world.create(json!({"title": "a"})).await;
    let b = world.create(json!({"title": "b"})).await;
    let c = world.create(json!({"title": "c"})).await;
    let foreign = world
        .service
        .create_task(&world.ann(), world.other_project_id, body(json!({"title": "x"})))
        .await
        .unwrap()
        .body;
    let codes = field_codes(drop_at(&world, &a, json!({"after_id": a.id, "before_id": foreign.id})).await);
    assert_eq!(codes, ["/after_id unknown_task", "/before_id unknown_task"]);
    assert_eq!(
        field_codes(drop_at(&world, &a, json!({"after_id": c.id, "before_id": b.id})).await),
        ["/before_id wrong_order"]
    );
    assert_eq!(
        field_codes(drop_at(&world, &a, json!({"state_id": a.id})).await),
        ["/state_id unknown_state"]
    );
}
