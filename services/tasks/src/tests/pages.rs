//! Pages, sorts and cursors of lists.

use kernel::ids::ProjectId;
use serde_json::{Value, json};

use super::lists::{page, sort, value};
use super::support::{World, body, world};
use crate::service::list::{Criteria, Shape};
use crate::store::list::{Sort, SortKey};

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
