//! Lists and search.

use kernel::ids::ProjectId;
use platform::db::count_statements;
use serde_json::{Value, json};

use super::support::{World, body, if_match, world};
use crate::model::{Priority, Status};
use crate::service::list::{Criteria, Expand, Person, Shape};
use crate::store::list::{Archived, Parent, Sort, SortKey};
use crate::view::TaskItem;

fn page(limit: u64) -> Shape {
    Shape { limit, ..Shape::default() }
}

fn sort(key: SortKey, descending: bool) -> Sort {
    Sort { key, descending }
}

async fn titles(world: &World, criteria: Criteria) -> Vec<String> {
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

fn value(item: TaskItem) -> Value {
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
async fn nobody_sees_tasks_of_projects_they_cannot_read() {
    let world = world().await;
    world.create(json!({"title": "Hidden treasure"})).await;
    let criteria = || Criteria {
        q: Some("treasure".into()),
        sorts: vec![sort(SortKey::CreatedAt, true)],
        ..Criteria::default()
    };
    let seen = world
        .service
        .list_tasks(&world.caller(world.viewer), criteria(), page(10))
        .await
        .unwrap();
    assert_eq!(seen.items.len(), 1);
    let hidden = world
        .service
        .list_tasks(&world.caller(world.stranger), criteria(), page(10))
        .await
        .unwrap();
    assert!(hidden.items.is_empty());
}

#[tokio::test]
async fn search_folds_case_and_accents_and_completes_the_last_word() {
    let world = world().await;
    world
        .create(json!({"title": "Café menu", "description": "The **Überraschung** for Łódź"}))
        .await;
    world.tick();
    let second = world
        .service
        .create_task(&world.ann(), world.other_project_id, body(json!({"title": "Cafeteria keys"})))
        .await
        .unwrap()
        .body;
    let find = async |q: &str| {
        titles(
            &world,
            Criteria {
                q: Some(q.into()),
                sorts: vec![sort(SortKey::CreatedAt, false)],
                ..Criteria::default()
            },
        )
        .await
    };
    assert_eq!(find("CAFE").await, ["Café menu", "Cafeteria keys"]);
    assert_eq!(find("cafe ").await, ["Café menu"]);
    assert_eq!(find("menu cafe").await, ["Café menu"]);
    assert_eq!(find("menu keys").await, Vec::<String>::new());
    assert_eq!(find("uberr").await, ["Café menu"]);
    assert_eq!(find("xyz-1").await, ["Cafeteria keys"]);
    assert_eq!(find("%").await, Vec::<String>::new());
    world.patch(second.id, json!({"title": "Restaurant keys"})).await.unwrap();
    assert_eq!(find("cafeteria").await, Vec::<String>::new());
    assert_eq!(find("restau").await, ["Restaurant keys"]);
}

#[tokio::test]
async fn pages_of_every_sort_are_complete_without_repetition() {
    let world = world().await;
    for i in 0..23 {
        let due = if i % 3 == 0 {
            Value::Null
        } else {
            json!(format!("2026-04-{:02}", 1 + i % 4))
        };
        let priority = ["none", "high", "low"][i % 3];
        // Tasks of the same microsecond, too.
        let command = body(json!({"title": format!("Täsk {}", i % 5), "due_date": due, "priority": priority}));
        if i % 4 == 0 {
            world.tick();
        }
        world.service.create_task(&world.ann(), world.project_id, command).await.unwrap();
    }
    let keys = [
        SortKey::CreatedAt,
        SortKey::UpdatedAt,
        SortKey::DueAt,
        SortKey::Priority,
        SortKey::Position,
        SortKey::Number,
        SortKey::Title,
    ];
    let mut sorts: Vec<Vec<Sort>> = keys
        .iter()
        .flat_map(|key| [vec![sort(*key, false)], vec![sort(*key, true)]])
        .collect();
    sorts.push(vec![
        sort(SortKey::Priority, true),
        sort(SortKey::DueAt, false),
        sort(SortKey::Title, true),
    ]);
    for sorts in sorts {
        let criteria = || Criteria {
            sorts: sorts.clone(),
            ..Criteria::default()
        };
        let whole = world.service.list_tasks(&world.ann(), criteria(), page(200)).await.unwrap();
        let whole: Vec<Value> = whole.items.into_iter().map(value).collect();
        assert_eq!(whole.len(), 23);
        let (mut paged, mut cursor) = (Vec::new(), None);
        loop {
            let shape = Shape {
                cursor,
                include_total: true,
                ..page(4)
            };
            let page = world.service.list_tasks(&world.ann(), criteria(), shape).await.unwrap();
            assert_eq!(page.total, Some(23));
            paged.extend(page.items.into_iter().map(value));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "{sorts:?}");
    }
    let due = titles_by_due(&world).await;
    assert!(
        due.iter().skip_while(|due| !due.is_null()).all(Value::is_null),
        "without a due date last: {due:?}"
    );
}

async fn titles_by_due(world: &World) -> Vec<Value> {
    let criteria = Criteria {
        sorts: vec![sort(SortKey::DueAt, false)],
        ..Criteria::default()
    };
    let page = world.service.list_tasks(&world.ann(), criteria, page(200)).await.unwrap();
    page.items.into_iter().map(|item| value(item)["due_at"].clone()).collect()
}

#[tokio::test]
async fn a_cursor_belongs_to_its_filter_sort_and_person() {
    let world = world().await;
    for i in 0..3 {
        world.create(json!({ "title": i.to_string() })).await;
    }
    let criteria = |q: Option<&str>, descending| Criteria {
        q: q.map(str::to_owned),
        sorts: vec![sort(SortKey::CreatedAt, descending)],
        ..Criteria::default()
    };
    let first = world.service.list_tasks(&world.ann(), criteria(None, true), page(1)).await.unwrap();
    let with = |cursor: &Option<String>| Shape {
        cursor: cursor.clone(),
        ..page(1)
    };
    assert!(
        world
            .service
            .list_tasks(&world.ann(), criteria(None, true), with(&first.next_cursor))
            .await
            .is_ok()
    );
    for result in [
        world
            .service
            .list_tasks(&world.ann(), criteria(None, false), with(&first.next_cursor))
            .await,
        world
            .service
            .list_tasks(&world.ann(), criteria(Some("x"), true), with(&first.next_cursor))
            .await,
        world
            .service
            .list_tasks(&world.caller(world.viewer), criteria(None, true), with(&first.next_cursor))
            .await,
        world
            .service
            .list_tasks(&world.ann(), criteria(None, true), with(&Some("AAAA".into())))
            .await,
    ] {
        assert_eq!(result.unwrap_err().kind.http_status(), 400);
    }
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

fn by_number() -> Criteria {
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

/// However the statement is cut into parts (by project, by workspace, not at all), the list is the same.
#[tokio::test]
async fn lists_span_any_number_of_projects_and_workspaces() {
    let world = world().await;
    let mut expected = Vec::new();
    for (workspaces, projects) in [(1, 3), (2, 12), (3, 10), (20, 22)] {
        let known = world.neighbour.projects.lock().unwrap().len();
        for i in known..projects {
            // Spread over the first workspaces; new ones as they are asked for.
            let workspace_id = if i % workspaces == 0 {
                world.workspace_id
            } else {
                world.extra_workspace(i % workspaces)
            };
            world.extra_project(workspace_id, i);
        }
        let ids: Vec<ProjectId> = world.neighbour.projects.lock().unwrap().keys().copied().collect();
        for id in ids {
            world.tick();
            let title = format!("Task {}", expected.len());
            let command = body(json!({ "title": title, "priority": (["low", "high"])[expected.len() % 2] }));
            world.service.create_task(&world.ann(), id, command).await.unwrap();
            expected.push(title);
        }
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let criteria = Criteria {
                sorts: vec![sort(SortKey::CreatedAt, false)],
                ..Criteria::default()
            };
            let shape = Shape { cursor, ..page(7) };
            let page = world.service.list_tasks(&world.ann(), criteria, shape).await.unwrap();
            seen.extend(page.items.into_iter().map(|item| value(item)["title"].as_str().unwrap().to_owned()));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{workspaces} workspaces, {projects} projects");
    }
}
