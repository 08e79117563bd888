//! Lists: filters and what a list shows. Helpers for the other tests of lists.

use kernel::ids::ProjectId;
use platform::db::count_statements;
use serde_json::{Value, json};

use super::support::{World, body, if_match, world};
use crate::model::{Priority, Status};
use crate::service::list::{Criteria, Expand, Person, Shape};
use crate::store::list::{Archived, Parent, Sort, SortKey};
use crate::view::TaskItem;

pub(super) fn page(limit: u64) -> Shape {
    Shape { limit, ..Shape::default() }
}

pub(super) fn sort(key: SortKey, descending: bool) -> Sort {
    Sort { key, descending }
}

pub(super) async fn titles(world: &World, criteria: Criteria) -> Vec<String> {
    let criteria = Criteria {
        sorts: if criteria.sorts.is_empty() {
            vec![sort(SortKey::Number, false)]
        } else {
            criteria.sorts.clone()
        },
        ..criteria
    };
    let page = world.service.list_tasks(&world.ann(), criteria, page(200)).await.unwrap();
    page.items
        .into_iter()
        .map(|item| value(item)["title"].as_str().unwrap().to_owned())
        .collect()
}

pub(super) fn value(item: TaskItem) -> Value {
    serde_json::to_value(item).unwrap()
}

#[tokio::test]
async fn every_filter_finds_exactly_its_tasks() {
    let world = world().await;
    let (bug, idea) = (world.label("bug").await, world.label("idea").await);
    let a = world
        .create(json!({"title": "a", "priority": "high", "assignee_ids": [world.ann], "label_ids": [bug], "due_date": "2026-04-01"}))
        .await;
    let b = world
        .create(json!({"title": "b", "priority": "low", "assignee_ids": [world.owner, world.viewer], "label_ids": [idea, bug]}))
        .await;
    let c = world
        .create(json!({"title": "c", "parent_id": a.id, "due_at": "2026-05-01T00:00:00Z"}))
        .await;
    let none = if_match(None);
    let by_owner = world
        .service
        .create_task(&world.caller(world.owner), world.project_id, body(json!({"title": "d"})))
        .await
        .unwrap()
        .body;
    world.service.complete_task(&world.ann(), b.id, &none, true).await.unwrap();
    world.service.archive_task(&world.ann(), by_owner.id, &none, true).await.unwrap();
    let gone = world.create(json!({"title": "gone"})).await;
    world.service.delete_task(&world.ann(), gone.id, &none).await.unwrap();

    let all = Criteria::default;
    assert_eq!(titles(&world, all()).await, ["a", "b", "c"]);
    assert_eq!(
        titles(
            &world,
            Criteria {
                statuses: vec![Status::Open, Status::InProgress],
                ..all()
            }
        )
        .await,
        ["a", "c"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                states: vec![a.state_id],
                ..all()
            }
        )
        .await,
        ["a", "c"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                assignees: vec![Person::Me],
                ..all()
            }
        )
        .await,
        ["a"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                assignees: vec![Person::Nobody],
                ..all()
            }
        )
        .await,
        ["c"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                assignees: vec![Person::User(world.viewer), Person::Nobody],
                ..all()
            }
        )
        .await,
        ["b", "c"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                creators: vec![Person::User(world.owner)],
                archived: Archived::Any,
                ..all()
            }
        )
        .await,
        ["d"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                labels: vec![bug],
                ..all()
            }
        )
        .await,
        ["a", "b"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                labels: vec![idea],
                priorities: vec![Priority::Low],
                ..all()
            }
        )
        .await,
        ["b"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                due_before: Some("2026-04-02T00:00:00Z".parse().unwrap()),
                ..all()
            }
        )
        .await,
        ["a"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                due_after: Some("2026-04-02T00:00:00Z".parse().unwrap()),
                ..all()
            }
        )
        .await,
        ["c"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                parent: Some(Parent::TopLevel),
                ..all()
            }
        )
        .await,
        ["a", "b"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                parent: Some(Parent::Of(a.id)),
                ..all()
            }
        )
        .await,
        ["c"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                archived: Archived::Only,
                ..all()
            }
        )
        .await,
        ["d"]
    );
    assert_eq!(titles(&world, Criteria { deleted: true, ..all() }).await, ["gone"]);
    assert_eq!(
        titles(
            &world,
            Criteria {
                updated_since: Some(c.updated_at),
                ..all()
            }
        )
        .await,
        ["a", "b", "c"]
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                project_ids: vec![world.other_project_id],
                ..all()
            }
        )
        .await,
        Vec::<String>::new()
    );
    assert_eq!(
        titles(
            &world,
            Criteria {
                project_ids: vec![ProjectId(a.id.0)],
                ..all()
            }
        )
        .await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_list_costs_a_fixed_number_of_statements() {
    let world = world().await;
    let labels = [world.label("a").await, world.label("b").await];
    let mut costs = Vec::new();
    for size in [1, 50] {
        while world
            .service
            .list_tasks(&world.ann(), by_number(), page(200))
            .await
            .unwrap()
            .items
            .len()
            < size
        {
            let parent = world
                .create(json!({"title": "Task", "label_ids": labels, "assignee_ids": [world.ann, world.owner]}))
                .await;
            world
                .service
                .create_comment(&world.ann(), parent.id, body(json!({"body": "x"})))
                .await
                .unwrap();
        }
        let shape = Shape {
            expand: Expand {
                assignees: true,
                labels: true,
                project: true,
            },
            ..page(50)
        };
        let (listed, cost) = Box::pin(count_statements(world.service.list_tasks(&world.ann(), by_number(), shape))).await;
        let items: Vec<Value> = listed.unwrap().items.into_iter().map(value).collect();
        assert_eq!(items.len(), size);
        assert!(items.iter().all(|task| task["labels"].as_array().unwrap().len() == 2
            && task["assignees"].as_array().unwrap().len() == 2
            && task["comment_count"] == 1));
        costs.push(cost);
    }
    // Tasks, assignees, labels of tasks, labels.
    assert_eq!(costs, [4, 4]);
}

pub(super) fn by_number() -> Criteria {
    Criteria {
        sorts: vec![sort(SortKey::Number, false)],
        ..Criteria::default()
    }
}

#[tokio::test]
async fn fields_and_expansions_shape_the_items() {
    let world = world().await;
    let task = world.create(json!({"title": "a", "assignee_ids": [world.owner]})).await;
    let shape = Shape {
        fields: Some(vec!["title".into(), "due_at".into()]),
        expand: Expand {
            assignees: true,
            ..Expand::default()
        },
        ..page(10)
    };
    let page = world
        .service
        .list_project_tasks(&world.ann(), world.project_id, by_number(), shape)
        .await
        .unwrap();
    let name = format!("Person {}", world.owner);
    assert_eq!(
        page.items.into_iter().map(value).collect::<Vec<_>>(),
        [json!({"id": task.id, "title": "a", "due_at": null, "assignees": [{"id": world.owner, "name": name}]})]
    );
}

#[tokio::test]
async fn a_key_finds_its_task_and_none_that_only_names_it() {
    let world = world().await;
    world.create(json!({"title": "a"})).await;
    world.create(json!({"title": "like ABC-1"})).await;
    let of = |key: &str, number| Criteria {
        key: Some((key.into(), number)),
        ..Criteria::default()
    };
    assert_eq!(titles(&world, of("ABC", 1)).await, ["a"]);
    assert!(titles(&world, of("ABC", 3)).await.is_empty());
    assert!(titles(&world, of("XYZ", 1)).await.is_empty());
}
