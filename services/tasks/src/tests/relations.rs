//! Relations between tasks.

use std::sync::Arc;

use contracts::workspaces::ProjectAccess;
use kernel::ids::{EntityId, TaskId};
use kernel::roles::Role;
use platform::db::count_statements;
use serde_json::{Value, json};

use super::support::{World, body, code, world};
use super::tasks::futures_join;
use crate::model::relation::Relation::{self, BlockedBy, Blocks, DuplicatedBy, Duplicates, Relates};
use crate::view::TaskView;

async fn tasks<const N: usize>(world: &World) -> [TaskId; N] {
    let mut ids = Vec::new();
    for i in 0..N {
        ids.push(world.create(json!({ "title": format!("Task {i}") })).await.id);
    }
    ids.try_into().unwrap()
}

/// Relation and number of the other task, as the task sees them.
async fn seen(world: &World, id: TaskId) -> Vec<(Relation, String)> {
    let list = world.service.list_relations(&world.ann(), id).await.unwrap();
    list.items.into_iter().map(|item| (item.relation, item.task.key)).collect()
}

async fn relate(world: &World, a: TaskId, relation: Relation, b: TaskId) -> kernel::Result<()> {
    world.tick();
    world.service.relate(&world.ann(), a, relation, b).await.map(drop)
}

#[tokio::test]
async fn both_tasks_show_a_relation_each_from_its_side() {
    let world = world().await;
    let [a, b, c] = tasks(&world).await;
    relate(&world, a, Blocks, b).await.unwrap();
    relate(&world, c, Relates, a).await.unwrap();
    relate(&world, c, DuplicatedBy, b).await.unwrap();
    assert_eq!(seen(&world, a).await, [(Blocks, "ABC-2".into()), (Relates, "ABC-3".into())]);
    assert_eq!(seen(&world, b).await, [(BlockedBy, "ABC-1".into()), (Duplicates, "ABC-3".into())]);
    assert_eq!(seen(&world, c).await, [(Relates, "ABC-1".into()), (DuplicatedBy, "ABC-2".into())]);
    let known = world.events().await.len();
    // The same from the other side, and again: nothing new.
    relate(&world, b, BlockedBy, a).await.unwrap();
    relate(&world, a, Relates, c).await.unwrap();
    assert_eq!(world.events().await.len(), known);
    assert_eq!(code(relate(&world, a, Relates, a).await), "tasks.relation.to_itself");

    let service = &world.service;
    service.unrelate(&world.ann(), b, BlockedBy, a).await.unwrap();
    service.unrelate(&world.ann(), b, BlockedBy, a).await.unwrap();
    assert_eq!(seen(&world, b).await, [(Duplicates, "ABC-3".into())]);
    let told = world.events().await;
    let of = |name: &str| -> Vec<Value> {
        let wanted = format!("tasks.{name}.v1");
        told.iter()
            .filter(|(kind, _)| *kind == wanted)
            .map(|(_, data)| json!([data["task_id"], data["relation"], data["other_id"]]))
            .collect()
    };
    assert_eq!(of("task_related")[..2], [json!([a, "blocks", b]), json!([b, "blocked_by", a])]);
    assert_eq!(of("task_related").len(), 6);
    assert_eq!(of("task_unrelated"), [json!([b, "blocked_by", a]), json!([a, "blocks", b])]);
    let history = service.list_activity(&world.ann(), a, None, 10).await.unwrap().items;
    let line = history.iter().find(|line| line.kind == "relation_removed").unwrap();
    assert_eq!(line.old, json!({"relation": "blocks", "task_id": b}));
    assert_eq!(history.iter().filter(|line| line.kind == "relation_added").count(), 2);
}

#[tokio::test]
async fn blocks_and_duplicates_close_no_cycle() {
    let world = world().await;
    let [a, b, c, d] = tasks(&world).await;
    for (from, to) in [(a, b), (b, c), (c, d)] {
        relate(&world, from, Blocks, to).await.unwrap();
    }
    for (from, relation, to) in [(d, Blocks, a), (b, Blocks, a), (a, BlockedBy, d), (c, Blocks, b)] {
        assert_eq!(code(relate(&world, from, relation, to).await), "tasks.relation.cycle");
    }
    // Short cuts are none, other kinds have a graph of their own, and what relates has no direction.
    relate(&world, a, Blocks, d).await.unwrap();
    relate(&world, d, Duplicates, a).await.unwrap();
    assert_eq!(code(relate(&world, a, Duplicates, d).await), "tasks.relation.cycle");
    for (from, to) in [(a, b), (b, c), (c, a)] {
        relate(&world, from, Relates, to).await.unwrap();
    }
    world.service.unrelate(&world.ann(), b, Blocks, c).await.unwrap();
    relate(&world, c, Blocks, b).await.unwrap();
}

/// Whoever comes first, the edges of a ring never all get in.
#[tokio::test]
async fn parallel_edges_close_no_cycle_between_them() {
    let world = Arc::new(world().await);
    let ring: [TaskId; 6] = tasks(&world).await;
    let outcomes = futures_join((0..ring.len()).map(|i| {
        let world = world.clone();
        async move { relate(&world, ring[i], Blocks, ring[(i + 1) % ring.len()]).await }
    }))
    .await;
    let refused: Vec<String> = outcomes
        .into_iter()
        .filter_map(Result::err)
        .map(|error| error.code.into_owned())
        .collect();
    assert_eq!(refused, ["tasks.relation.cycle"]);

    let [a, b]: [TaskId; 2] = tasks(&world).await;
    let same = futures_join((0..5).map(|_| {
        let world = world.clone();
        async move { relate(&world, a, Blocks, b).await }
    }))
    .await;
    assert!(same.iter().all(Result::is_ok), "{same:?}");
    let events = world.events().await;
    assert_eq!(
        events
            .iter()
            .filter(|(_, data)| data["task_id"] == json!(a) && data["other_id"] == json!(b))
            .count(),
        1
    );
}

#[tokio::test]
async fn both_tasks_must_be_visible_and_of_one_workspace() {
    let world = world().await;
    let [a] = tasks(&world).await;
    let other = world
        .service
        .create_task(&world.ann(), world.other_project_id, body(json!({"title": "Over there"})))
        .await
        .unwrap()
        .body;
    relate(&world, a, Blocks, other.id).await.unwrap();
    assert_eq!(seen(&world, a).await, [(Blocks, "XYZ-1".into())]);

    let outside = world.extra_workspace(7);
    world.extra_project(outside, 7);
    let access: Vec<ProjectAccess> = world.service.readable_projects(&world.ann(), Some(outside)).await.unwrap();
    let foreign: TaskView = world
        .service
        .create_task(&world.ann(), access[0].project_id, body(json!({"title": "Elsewhere"})))
        .await
        .unwrap()
        .body;
    let service = &world.service;
    for unknown in [foreign.id, TaskId::generate(&world.clock)] {
        assert_eq!(code(relate(&world, a, Relates, unknown).await), "tasks.task.not_found");
        assert_eq!(
            code(service.unrelate(&world.ann(), a, Relates, unknown).await),
            "tasks.task.not_found"
        );
    }
    let stranger = world.caller(world.stranger);
    assert_eq!(code(service.list_relations(&stranger, a).await), "tasks.task.not_found");
    assert_eq!(code(service.relate(&stranger, a, Relates, other.id).await), "tasks.task.not_found");
    assert_eq!(
        code(service.relate(&world.caller(world.viewer), a, Relates, other.id).await),
        "tasks.forbidden"
    );

    // A guest who sees only one of the projects: the relation to the other one is not there.
    let guest = world.caller(world.stranger);
    world
        .neighbour
        .members
        .lock()
        .unwrap()
        .insert((world.workspace_id, world.stranger), Role::Viewer);
    assert_eq!(service.list_relations(&guest, a).await.unwrap().items.len(), 1);
    world
        .neighbour
        .projects
        .lock()
        .unwrap()
        .get_mut(&world.other_project_id)
        .unwrap()
        .workspace_id = outside;
    assert_eq!(service.list_relations(&guest, a).await.unwrap().items.len(), 0);
}

/// What lies in a project that somebody cannot read is named to them neither by the history nor by events.
#[tokio::test]
async fn a_foreign_task_is_not_named_to_who_cannot_read_it() {
    let world = world().await;
    world.neighbour.private.lock().unwrap().insert(world.other_project_id);
    world
        .neighbour
        .projects
        .lock()
        .unwrap()
        .get_mut(&world.other_project_id)
        .unwrap()
        .roles
        .insert(world.ann, Role::Collaborator);
    let [task, beside] = tasks(&world).await;
    let mut secrets = Vec::new();
    for i in 0..5 {
        let command = body(json!({ "title": format!("Secret {i}") }));
        let secret = world.service.create_task(&world.ann(), world.other_project_id, command).await;
        secrets.push(secret.unwrap().body.id);
    }
    let service = &world.service;
    let viewer = world.caller(world.viewer);
    let told = world.events().await.len();
    relate(&world, task, Relates, beside).await.unwrap();
    relate(&world, task, Blocks, secrets[0]).await.unwrap();
    let (_, short) = count_statements(service.list_activity(&viewer, task, None, 50)).await;
    for secret in &secrets[1..] {
        relate(&world, task, Blocks, *secret).await.unwrap();
    }
    world.tick();
    service.unrelate(&world.ann(), task, Blocks, secrets[0]).await.unwrap();
    let (page, long) = count_statements(service.list_activity(&viewer, task, None, 50)).await;
    assert_eq!(short, long, "however many there are");
    let lines = page.unwrap().items;
    let of = |kind: &str| -> Vec<&Value> {
        let lines = lines.iter().filter(|line| line.kind == kind);
        lines.map(|line| if line.new.is_null() { &line.old } else { &line.new }).collect()
    };
    let nobody = json!({"relation": "blocks", "task_id": null});
    assert_eq!(of("relation_removed"), [&nobody]);
    let added = of("relation_added");
    assert_eq!((added.len(), added[0]), (6, &nobody));
    assert_eq!(added[5], &json!({"relation": "relates", "task_id": beside}));
    let whole = service.list_activity(&world.ann(), task, None, 50).await.unwrap().items;
    assert_eq!(whole[0].old, json!({"relation": "blocks", "task_id": secrets[0]}));

    let events: Vec<Value> = world.events().await.into_iter().skip(told).map(|(_, data)| data).collect();
    let named: Vec<&Value> = events.iter().filter(|data| data.get("other_id").is_some()).collect();
    assert_eq!((events.len(), named.len()), (14, 2), "only those of one project name each other");
    for data in &events {
        let own = data["project_id"] == json!(world.project_id);
        let text = data.to_string();
        assert_eq!(secrets.iter().any(|secret| text.contains(&secret.to_string())), !own, "{text}");
        assert_eq!(text.contains(&task.to_string()), own, "{text}");
    }

    // Once it is erased nobody knows where it was.
    let none = super::support::if_match(None);
    service.delete_task(&world.ann(), secrets[1], &none).await.unwrap();
    service.purge_task(&world.caller(world.owner), secrets[1], &none).await.unwrap();
    let text = serde_json::to_string(&service.list_activity(&viewer, task, None, 50).await.unwrap()).unwrap();
    assert!(secrets.iter().all(|secret| !text.contains(&secret.to_string())), "{text}");
}

#[tokio::test]
async fn a_deleted_task_takes_its_relations_out_of_sight_and_brings_them_back() {
    let world = world().await;
    let [a, b] = tasks(&world).await;
    relate(&world, a, Blocks, b).await.unwrap();
    let none = super::support::if_match(None);
    world.service.delete_task(&world.ann(), b, &none).await.unwrap();
    assert_eq!(seen(&world, a).await, []);
    world.service.restore_task(&world.ann(), b, &none).await.unwrap();
    assert_eq!(seen(&world, a).await.len(), 1);
    world.service.archive_task(&world.ann(), a, &none, true).await.unwrap();
    assert_eq!(
        code(world.service.unrelate(&world.ann(), a, Blocks, b).await),
        "tasks.task.archived"
    );
}

#[tokio::test]
async fn relations_are_bounded_and_cost_a_fixed_number_of_statements() {
    let world = world().await;
    let [hub] = tasks(&world).await;
    let mut costs = Vec::new();
    for i in 0..100 {
        let spoke = world.create(json!({ "title": format!("Spoke {i}") })).await;
        relate(&world, hub, Relates, spoke.id).await.unwrap();
        if i == 0 || i == 99 {
            let (list, cost) = Box::pin(count_statements(world.service.list_relations(&world.ann(), hub))).await;
            costs.push((list.unwrap().items.len(), cost));
        }
    }
    // The task with its links, the relations, the other tasks.
    assert_eq!(costs, [(1, 5), (100, 5)]);
    let [more] = tasks(&world).await;
    assert_eq!(code(relate(&world, hub, Relates, more).await), "tasks.relation.too_many");
}
