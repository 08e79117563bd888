//! Moving tasks on the board.

use std::collections::{HashMap, HashSet};

use kernel::ids::EntityId;
use platform::Caller;
use platform::db::Unit;
use sea_query::{Expr, ExprTrait, Query};
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
        field_codes(drop_at(&world, &a, json!({"after_id": c.id, "before_id": c.id})).await),
        ["/before_id same_task"]
    );
    assert_eq!(
        field_codes(drop_at(&world, &a, json!({"state_id": a.id})).await),
        ["/state_id unknown_state"]
    );
}

/// Straight into the table, as an older version left them.
async fn set_position(world: &World, task: &TaskView, position: &str) {
    let mut unit = Unit::new(&Caller::system(&world.clock, "test"));
    let update = Query::update()
        .table("tasks")
        .value("position", position)
        .and_where(Expr::col("id").eq(task.id.uuid()))
        .take();
    unit.update(update);
    world.db().apply(unit).await.unwrap();
}

#[tokio::test]
async fn between_equals_room_is_made() {
    let world = world().await;
    let mut tasks = Vec::new();
    for title in ["a", "b", "c", "d", "e", "x"] {
        tasks.push(world.create(json!({ "title": title })).await);
    }
    let [a, b, c, d, last, moved] = &tasks[..] else { unreachable!() };
    for (neighbours, wanted) in [
        (json!({"after_id": b.id, "before_id": c.id}), ["a", "b", "x", "c", "d", "e"]),
        (json!({"after_id": b.id}), ["a", "b", "x", "c", "d", "e"]),
        (json!({"before_id": d.id}), ["a", "b", "c", "x", "d", "e"]),
    ] {
        for task in [a, b, c, d] {
            set_position(&world, task, "0660c8a24dda54").await;
        }
        set_position(&world, last, "0660c8a24dda55").await;
        set_position(&world, moved, "09").await;
        drop_at(&world, moved, neighbours.clone()).await.unwrap();
        assert_eq!(order(&world).await, wanted, "{neighbours}");
    }
    // A task that is one of the equals itself moves among them as well, and one that lies right already stays.
    for task in [a, b, c, d, moved] {
        set_position(&world, task, "0660c8a24dda54").await;
    }
    drop_at(&world, a, json!({"after_id": c.id, "before_id": d.id})).await.unwrap();
    assert_eq!(order(&world).await, ["b", "c", "a", "d", "x", "e"]);
    let before = world.events().await.len();
    drop_at(&world, b, json!({"before_id": c.id})).await.unwrap();
    assert_eq!(world.events().await.len(), before, "already there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_many_moves_into_one_gap_at_once_there_is_room_between_any_two() {
    let world = world().await;
    let first = world.create(json!({"title": "first"})).await;
    world.create(json!({"title": "last"})).await;
    let mut racers = Vec::new();
    for number in 0..16 {
        racers.push(world.create(json!({ "title": format!("r{number}") })).await);
    }
    // The clock stands still: all of them compute with the same neighbours at the same moment.
    let mut moves = tokio::task::JoinSet::new();
    for task in &racers {
        let (service, caller, id) = (world.service.clone(), world.ann(), task.id);
        let command = body(json!({"after_id": first.id}));
        moves.spawn(async move { service.move_task(&caller, id, &if_match(None), command).await });
    }
    while let Some(moved) = moves.join_next().await {
        moved.unwrap().unwrap();
    }
    let ids: HashMap<String, TaskView> = {
        let mut ids = HashMap::new();
        for task in racers.iter().chain([&first]) {
            ids.insert(task.title.clone(), world.read(task.id).await);
        }
        ids
    };
    let positions: HashSet<&String> = ids.values().map(|task| &task.position).collect();
    assert_eq!(positions.len(), ids.len(), "no two at one position");
    let probe = world.create(json!({"title": "probe"})).await;
    let lined_up: Vec<String> = order(&world).await.into_iter().filter(|title| ids.contains_key(title)).collect();
    for pair in lined_up.windows(2) {
        let command = json!({"after_id": ids[&pair[0]].id, "before_id": ids[&pair[1]].id});
        drop_at(&world, &probe, command).await.unwrap();
        let now = order(&world).await;
        let at = now.iter().position(|title| title == "probe").unwrap();
        assert_eq!((&now[at - 1], &now[at + 1]), (&pair[0], &pair[1]));
    }
}
