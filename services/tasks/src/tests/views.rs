//! Saved views.

use kernel::ids::EntityId;
use kernel::roles::Role;
use serde_json::json;

use super::lists::{page, value};
use super::support::{World, body, code, field_codes, if_match, world};
use crate::model::saved::ViewId;
use crate::view::SavedViewView;

async fn save(world: &World, who: kernel::ids::UserId, view: serde_json::Value) -> kernel::Result<SavedViewView> {
    world.tick();
    let reply = world
        .service
        .create_view(&world.caller(who), world.workspace_id, body(view))
        .await?;
    Ok(reply.body)
}

async fn names(world: &World, who: kernel::ids::UserId) -> Vec<String> {
    let list = world
        .service
        .list_views(&world.caller(who), world.workspace_id, None)
        .await
        .unwrap();
    list.items.into_iter().map(|view| view.name).collect()
}

#[tokio::test]
async fn a_view_shows_what_the_list_with_its_query_shows() {
    let world = world().await;
    for (title, priority, assignees) in [
        ("a", "low", json!([world.ann])),
        ("b", "urgent", json!([world.ann, world.owner])),
        ("c", "urgent", json!([])),
    ] {
        world
            .create(json!({"title": title, "priority": priority, "assignee_ids": assignees}))
            .await;
    }
    world
        .service
        .create_task(
            &world.ann(),
            world.other_project_id,
            body(json!({"title": "d", "assignee_ids": [world.ann]})),
        )
        .await
        .unwrap();
    let mine = save(
        &world,
        world.ann,
        json!({"name": "Mine", "query": "?assignee=me&sort=-title", "visibility": "shared"}),
    )
    .await
    .unwrap();
    let here = json!({"name": "Here", "query": "assignee=me&sort=title", "visibility": "shared", "project_id": world.project_id});
    let here = save(&world, world.ann, here).await.unwrap();
    let shown = async |who, id: ViewId| -> Vec<String> {
        let list = world
            .service
            .list_view_tasks(&world.caller(who), world.workspace_id, id, page(2))
            .await
            .unwrap();
        list.items
            .into_iter()
            .map(|item| value(item)["title"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(shown(world.ann, mine.id).await, ["d", "b"]);
    assert_eq!(shown(world.owner, mine.id).await, ["b"]);
    assert_eq!(shown(world.ann, here.id).await, ["a", "b"]);
    // Pages go on where they stopped; a changed view starts anew.
    let first = world
        .service
        .list_view_tasks(&world.ann(), world.workspace_id, mine.id, page(2))
        .await
        .unwrap();
    let second = crate::service::list::Shape {
        cursor: first.next_cursor,
        ..page(2)
    };
    let rest = world
        .service
        .list_view_tasks(&world.ann(), world.workspace_id, mine.id, second.clone())
        .await
        .unwrap();
    assert_eq!(value(rest.items.into_iter().next().unwrap())["title"], "a");
    let none = if_match(None);
    let change = body(json!({"query": "priority=urgent"}));
    world
        .service
        .update_view(&world.ann(), world.workspace_id, mine.id, &none, change)
        .await
        .unwrap();
    let stale = world
        .service
        .list_view_tasks(&world.ann(), world.workspace_id, mine.id, second)
        .await;
    assert_eq!(stale.unwrap_err().kind.http_status(), 400);
}

#[tokio::test]
async fn personal_views_are_their_owners_and_shared_ones_need_a_collaborator() {
    let world = world().await;
    let personal = save(&world, world.viewer, json!({"name": "For me", "query": ""})).await.unwrap();
    assert_eq!(
        code(save(&world, world.viewer, json!({"name": "x", "query": "", "visibility": "shared"})).await),
        "tasks.forbidden"
    );
    let shared = save(&world, world.ann, json!({"name": "For all", "query": "", "visibility": "shared"}))
        .await
        .unwrap();
    assert_eq!(names(&world, world.viewer).await, ["For all", "For me"]);
    assert_eq!(names(&world, world.owner).await, ["For all"]);
    let (service, none, workspace) = (&world.service, if_match(None), world.workspace_id);
    assert_eq!(
        code(service.get_view(&world.caller(world.owner), workspace, personal.id).await),
        "tasks.view.not_found"
    );
    assert_eq!(
        code(service.get_view(&world.caller(world.stranger), workspace, shared.id).await),
        "tasks.workspace.not_found"
    );
    let rename = || body(json!({"name": "Renamed"}));
    assert_eq!(
        code(
            service
                .update_view(&world.caller(world.viewer), workspace, shared.id, &none, rename())
                .await
        ),
        "tasks.forbidden"
    );
    assert_eq!(
        code(service.delete_view(&world.caller(world.viewer), workspace, shared.id, &none).await),
        "tasks.forbidden"
    );
    service
        .update_view(&world.caller(world.owner), workspace, shared.id, &none, rename())
        .await
        .unwrap();
    let hide = || body(json!({"visibility": "personal"}));
    assert_eq!(
        code(
            service
                .update_view(&world.caller(world.owner), workspace, shared.id, &none, hide())
                .await
        ),
        "tasks.view.not_owner"
    );
    let publish = body(json!({"visibility": "shared"}));
    assert_eq!(
        code(
            service
                .update_view(&world.caller(world.viewer), workspace, personal.id, &none, publish)
                .await
        ),
        "tasks.forbidden"
    );
    service
        .update_view(&world.ann(), workspace, shared.id, &none, hide())
        .await
        .unwrap();
    assert_eq!(names(&world, world.owner).await, Vec::<String>::new());
    assert_eq!(
        code(service.delete_view(&world.ann(), workspace, shared.id, &if_match(Some(1))).await),
        "request.version_mismatch"
    );
    service
        .delete_view(&world.ann(), workspace, shared.id, &if_match(Some(3)))
        .await
        .unwrap();

    // Of a project that the caller cannot read: not there.
    let project = save(
        &world,
        world.ann,
        json!({"name": "P", "query": "", "visibility": "shared", "project_id": world.project_id}),
    )
    .await
    .unwrap();
    let elsewhere = world.extra_workspace(3);
    world
        .neighbour
        .projects
        .lock()
        .unwrap()
        .get_mut(&world.project_id)
        .unwrap()
        .workspace_id = elsewhere;
    assert_eq!(names(&world, world.owner).await, Vec::<String>::new());
    assert_eq!(
        code(service.get_view(&world.caller(world.owner), workspace, project.id).await),
        "tasks.view.not_found"
    );
}

#[tokio::test]
async fn a_view_is_checked_when_it_is_saved() {
    let world = world().await;
    let refused = async |view| field_codes(save(&world, world.ann, view).await);
    assert_eq!(
        refused(json!({"name": " ", "query": "status=closed", "position": -1, "project_id": ViewId::generate(&world.clock)})).await,
        [
            "/project_id not_found",
            "/name blank",
            "/query invalid_query",
            "/position out_of_range"
        ]
    );
    for query in ["limit=5", "colour=red", "sort=secret", "status=open&status=done"] {
        assert_eq!(
            refused(json!({"name": "x", "query": query})).await,
            ["/query invalid_query"],
            "{query}"
        );
    }
    let long = "q=".to_owned() + &"x".repeat(2_000);
    assert_eq!(refused(json!({"name": "x", "query": long})).await, ["/query too_long"]);
    let twice = json!({"name": "x", "query": format!("project_id={}", world.project_id), "project_id": world.project_id});
    assert_eq!(refused(twice).await, ["/query invalid_query"]);
    let view = save(&world, world.ann, json!({"name": "x", "query": ""})).await.unwrap();
    let nulls = body(json!({"name": null, "query": null, "visibility": null, "position": null, "is_default": null}));
    let codes = field_codes(
        world
            .service
            .update_view(&world.ann(), world.workspace_id, view.id, &if_match(None), nulls)
            .await,
    );
    assert_eq!(codes.len(), 5);
}

#[tokio::test]
async fn views_have_an_order_and_one_default_each() {
    let world = world().await;
    world
        .neighbour
        .members
        .lock()
        .unwrap()
        .insert((world.workspace_id, world.stranger), Role::Viewer);
    let first = save(
        &world,
        world.ann,
        json!({"name": "First", "query": "", "visibility": "shared", "is_default": true}),
    )
    .await
    .unwrap();
    let second = save(
        &world,
        world.ann,
        json!({"name": "Second", "query": "", "visibility": "shared", "is_default": true}),
    )
    .await
    .unwrap();
    save(
        &world,
        world.ann,
        json!({"name": "Own", "query": "", "is_default": true, "position": 5}),
    )
    .await
    .unwrap();
    save(&world, world.stranger, json!({"name": "Theirs", "query": "", "is_default": true}))
        .await
        .unwrap();
    let in_project = json!({"name": "Project", "query": "", "visibility": "shared", "is_default": true, "project_id": world.project_id});
    save(&world, world.ann, in_project).await.unwrap();
    assert_eq!(names(&world, world.ann).await, ["Own", "First", "Second", "Project"]);
    let defaults = async |who| -> Vec<String> {
        let list = world
            .service
            .list_views(&world.caller(who), world.workspace_id, None)
            .await
            .unwrap();
        list.items
            .into_iter()
            .filter(|view| view.is_default)
            .map(|view| view.name)
            .collect()
    };
    assert_eq!(defaults(world.ann).await, ["Own", "Second", "Project"]);
    assert_eq!(defaults(world.stranger).await, ["Second", "Project", "Theirs"]);
    let (service, none, workspace) = (&world.service, if_match(None), world.workspace_id);
    let became = body(json!({"is_default": true, "position": 9000}));
    let changed = service.update_view(&world.ann(), workspace, first.id, &none, became).await.unwrap();
    // Losing the mark to the second one was a change, too.
    assert_eq!(changed.version, Some(3));
    assert_eq!(defaults(world.ann).await, ["Own", "Project", "First"]);
    assert!(!service.get_view(&world.ann(), workspace, second.id).await.unwrap().is_default);
    let of_project = service.list_views(&world.ann(), workspace, Some(world.project_id)).await.unwrap();
    assert_eq!(of_project.items.len(), 1);
    let events = world.events().await;
    let told = events.iter().filter(|(_, data)| data["changed"] == json!(["views"])).count();
    assert_eq!(told, 4, "shared views are told of, personal ones are not");
}
