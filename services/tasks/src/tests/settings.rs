//! Labels and workflow states.

use serde_json::json;

use super::support::{body, code, field_codes, if_match, world};
use crate::model::Status;

#[tokio::test]
async fn labels_are_unique_by_folded_name_and_listed_by_it() {
    let world = world().await;
    let (service, none) = (&world.service, if_match(None));
    let bug = service
        .create_label(&world.ann(), world.workspace_id, body(json!({"name": "Bug", "color": "#AA0000"})))
        .await
        .unwrap()
        .body;
    assert_eq!(bug.color, "#aa0000");
    assert_eq!(
        code(
            service
                .create_label(&world.ann(), world.workspace_id, body(json!({"name": " bUG"})))
                .await
        ),
        "tasks.label.name_taken"
    );
    for name in ["zebra", "Apple", "Ärger"] {
        world.label(name).await;
    }
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let page = service
            .list_labels(&world.caller(world.viewer), world.workspace_id, cursor.as_deref(), 2, true)
            .await
            .unwrap();
        assert_eq!(page.total, Some(4));
        names.extend(page.items.into_iter().map(|label| label.name));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["Apple", "Bug", "zebra", "Ärger"]);
    assert_eq!(
        code(
            service
                .create_label(&world.caller(world.viewer), world.workspace_id, body(json!({"name": "x"})))
                .await
        ),
        "tasks.forbidden"
    );
    assert_eq!(
        code(
            service
                .list_labels(&world.caller(world.stranger), world.workspace_id, None, 2, false)
                .await
        ),
        "tasks.workspace.not_found"
    );
    let codes = field_codes(
        service
            .create_label(&world.ann(), world.workspace_id, body(json!({"name": "a\u{7}", "color": "red"})))
            .await,
    );
    assert_eq!(codes, ["/name control_character", "/color invalid_color"]);

    let task = world.create(json!({"title": "a", "label_ids": [bug.id]})).await;
    let renamed = service
        .update_label(
            &world.ann(),
            world.workspace_id,
            bug.id,
            &if_match(Some(1)),
            body(json!({"name": "Defect"})),
        )
        .await;
    assert_eq!(renamed.unwrap().version, Some(2));
    service.delete_label(&world.ann(), world.workspace_id, bug.id, &none).await.unwrap();
    let unlabelled = world.read(task.id).await;
    assert_eq!((unlabelled.label_ids, unlabelled.version), (vec![], 2));
}

#[tokio::test]
async fn states_keep_their_meaning_and_one_default() {
    let world = world().await;
    let (service, none) = (&world.service, if_match(None));
    let states = world.states().await;
    assert_eq!(
        states.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(),
        ["To do", "In progress", "Done", "Cancelled"]
    );
    let review = json!({"name": "Review", "status": "in_progress", "position": 2500, "is_default": true});
    let review = service
        .create_state(&world.ann(), world.workspace_id, body(review))
        .await
        .unwrap()
        .body;
    let states = world.states().await;
    assert_eq!(states[2].id, review.id);
    assert_eq!(
        states
            .iter()
            .filter(|state| state.is_default)
            .map(|state| state.id)
            .collect::<Vec<_>>(),
        [review.id]
    );
    let task = world.create(json!({"title": "a"})).await;
    assert_eq!((task.state_id, task.status), (review.id, Status::InProgress));

    assert_eq!(
        code(service.delete_state(&world.ann(), world.workspace_id, review.id, &none).await),
        "tasks.state.is_default"
    );
    let todo = states[0].id;
    service
        .update_state(&world.ann(), world.workspace_id, todo, &none, body(json!({"is_default": true})))
        .await
        .unwrap();
    assert_eq!(
        code(service.delete_state(&world.ann(), world.workspace_id, review.id, &none).await),
        "tasks.state.in_use"
    );
    world.patch(task.id, json!({"state_id": todo})).await.unwrap();
    service
        .delete_state(&world.ann(), world.workspace_id, review.id, &none)
        .await
        .unwrap();
    let done = world.states().await.into_iter().find(|state| state.status == Status::Done).unwrap();
    assert_eq!(
        code(service.delete_state(&world.ann(), world.workspace_id, done.id, &none).await),
        "tasks.state.is_last"
    );
    let patch = |value| body(value);
    assert_eq!(
        field_codes(
            service
                .update_state(
                    &world.ann(),
                    world.workspace_id,
                    done.id,
                    &none,
                    patch(json!({"is_default": true, "position": -1}))
                )
                .await
        ),
        ["/position out_of_range", "/is_default closed_default"]
    );
    assert_eq!(
        code(
            service
                .update_state(&world.ann(), world.workspace_id, done.id, &none, patch(json!({"name": "TO DO"})))
                .await
        ),
        "tasks.state.name_taken"
    );
}
