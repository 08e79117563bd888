//! Comments and history.

use serde_json::json;

use super::support::{body, code, field_codes, if_match, world};

#[tokio::test]
async fn comments_are_counted_announced_and_edited_by_their_author_only() {
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    let (service, none) = (&world.service, if_match(None));
    let text = format!("Look, @[Owner](user:{}): **done**", world.owner);
    let comment = service
        .create_comment(&world.ann(), task.id, body(json!({ "body": text })))
        .await
        .unwrap()
        .body;
    let counted = world.read(task.id).await;
    assert_eq!((counted.comment_count, counted.version), (1, 2));
    let (name, event) = world.events().await.pop().unwrap();
    assert_eq!(
        (name.as_str(), &event["mentioned_ids"]),
        ("tasks.comment_created.v1", &json!([world.owner]))
    );
    assert_eq!((&event["excerpt"], &event["version"]), (&json!("Look, @Owner: done"), &json!(2)));

    let edit = |text: &str| body(json!({ "body": text }));
    assert_eq!(
        code(
            service
                .update_comment(&world.caller(world.owner), comment.id, &none, edit("x"))
                .await
        ),
        "tasks.comment.not_author"
    );
    assert_eq!(
        code(
            service
                .update_comment(&world.caller(world.viewer), comment.id, &none, edit("x"))
                .await
        ),
        "tasks.forbidden"
    );
    assert_eq!(
        code(
            service
                .update_comment(&world.caller(world.stranger), comment.id, &none, edit("x"))
                .await
        ),
        "tasks.comment.not_found"
    );
    let before = world.events().await.len();
    let same = service
        .update_comment(&world.ann(), comment.id, &none, edit(&text))
        .await
        .unwrap()
        .body;
    assert_eq!((same.version, same.edited_at, world.events().await.len()), (1, None, before));
    let edited = service
        .update_comment(&world.ann(), comment.id, &if_match(Some(1)), edit("new"))
        .await
        .unwrap()
        .body;
    assert_eq!((edited.body.as_str(), edited.version, edited.edited_at.is_some()), ("new", 2, true));
    assert_eq!(
        code(
            service
                .update_comment(&world.ann(), comment.id, &if_match(Some(1)), edit("newer"))
                .await
        ),
        "request.version_mismatch"
    );
    assert_eq!(world.event_types(before).await, ["comment_updated"]);
}

#[tokio::test]
async fn comments_are_deleted_by_author_or_moderator() {
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    let (service, none) = (&world.service, if_match(None));
    let owner = world.caller(world.owner);
    let mine = service
        .create_comment(&world.ann(), task.id, body(json!({"body": "mine"})))
        .await
        .unwrap()
        .body;
    let theirs = service
        .create_comment(&owner, task.id, body(json!({"body": "theirs"})))
        .await
        .unwrap()
        .body;
    assert_eq!(
        code(service.delete_comment(&world.ann(), theirs.id, &none).await),
        "tasks.forbidden"
    );
    service.delete_comment(&owner, mine.id, &none).await.unwrap();
    service.delete_comment(&owner, theirs.id, &none).await.unwrap();
    assert_eq!(
        code(service.delete_comment(&owner, theirs.id, &none).await),
        "tasks.comment.not_found"
    );
    assert_eq!(world.read(task.id).await.comment_count, 0);
    let kinds: Vec<String> = service
        .list_activity(&world.ann(), task.id, None, 50)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|line| line.kind)
        .collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "comment_deleted").count(), 2);
    assert_eq!(
        field_codes(service.create_comment(&owner, task.id, body(json!({"body": " \n"}))).await),
        ["/body blank"]
    );
}

#[tokio::test]
async fn pages_of_comments_and_history_are_complete_and_ordered() {
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    for i in 0..7 {
        // Some in the same microsecond: the id decides then.
        if i % 3 == 0 {
            world.tick();
        }
        world
            .service
            .create_comment(&world.ann(), task.id, body(json!({ "body": i.to_string() })))
            .await
            .unwrap();
    }
    let (mut bodies, mut cursor) = (Vec::new(), None);
    loop {
        let page = world
            .service
            .list_comments(&world.ann(), task.id, cursor.as_deref(), 3)
            .await
            .unwrap();
        bodies.extend(page.items.into_iter().map(|comment| (comment.created_at, comment.id, comment.body)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(bodies.len(), 7);
    assert!(bodies.windows(2).all(|pair| (pair[0].0, pair[0].1) < (pair[1].0, pair[1].1)));
    let first = world.service.list_activity(&world.ann(), task.id, None, 4).await.unwrap();
    let rest = world
        .service
        .list_activity(&world.ann(), task.id, first.next_cursor.as_deref(), 50)
        .await
        .unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next_cursor), (4, 4, None));
    assert_eq!(rest.items.last().unwrap().kind, "created");
    // A cursor of one list opens no other one.
    let error = world
        .service
        .list_comments(&world.ann(), task.id, first.next_cursor.as_deref(), 4)
        .await
        .unwrap_err();
    assert_eq!(error.kind.http_status(), 400);
}
