//! What other services announce.

use contracts::Envelope;
use contracts::event::EventPayload;
use contracts::workspaces::events::{MemberRemoved, ProjectUpdated, WorkspaceCreated, WorkspacePurged};
use kernel::ids::{EntityId, EventId};
use kernel::{Actor, Clock};
use platform::Caller;
use platform::db::Unit;
use platform::events::Consumer;
use serde_json::json;

use super::support::{World, code, world};
use crate::events::WorkspaceEvents;

async fn announce<P: EventPayload>(world: &World, payload: &P) {
    let envelope = Envelope {
        specversion: "1.0".into(),
        id: EventId::generate(&world.clock),
        source: "/services/workspaces".into(),
        event_type: P::TYPE.into(),
        subject: payload.subject(),
        time: world.clock.now(),
        datacontenttype: "application/json".into(),
        workspaceid: payload.workspace_id(),
        actor: Actor::System,
        traceparent: None,
        requestid: None,
        data: serde_json::to_value(payload).unwrap(),
    };
    let consumer = WorkspaceEvents(world.service.clone());
    assert!(consumer.event_types().contains(&P::TYPE));
    let mut unit = Unit::new(&Caller::system(&world.clock, "event"));
    consumer.handle(&envelope, &mut unit).await.unwrap();
    world.db().apply(unit).await.unwrap();
}

#[tokio::test]
async fn a_new_workspace_gets_its_states_once() {
    let world = world().await;
    let created = WorkspaceCreated {
        workspace_id: world.workspace_id,
        name: "W".into(),
        slug: "w".into(),
        owner_id: world.owner,
    };
    for _ in 0..2 {
        announce(&world, &created).await;
    }
    assert_eq!(world.states().await.len(), 4);
}

#[tokio::test]
async fn a_removed_member_is_taken_off_all_tasks() {
    let world = world().await;
    let task = world.create(json!({"title": "a", "assignee_ids": [world.viewer, world.ann]})).await;
    let removed = MemberRemoved {
        workspace_id: world.workspace_id,
        user_id: world.viewer,
        left: false,
    };
    announce(&world, &removed).await;
    let due = world.due().await;
    // Back again before the work is done: nothing happens.
    world.run_due(&due[0]).await.unwrap();
    assert_eq!(world.read(task.id).await.assignee_ids.len(), 2);
    world.neighbour.members.lock().unwrap().remove(&(world.workspace_id, world.viewer));
    world.run_due(&due[0]).await.unwrap();
    assert_eq!(world.read(task.id).await.assignee_ids, [world.ann]);
    let (name, event) = world.events().await.pop().unwrap();
    assert_eq!(
        (name.as_str(), &event["removed_ids"]),
        ("tasks.task_assigned.v1", &json!([world.viewer]))
    );
}

#[tokio::test]
async fn a_purged_workspace_leaves_nothing() {
    let world = world().await;
    let label = world.label("l").await;
    let task = world
        .create(json!({"title": "a", "label_ids": [label], "due_date": "2026-04-01"}))
        .await;
    world.create(json!({"title": "b", "parent_id": task.id})).await;
    announce(
        &world,
        &WorkspacePurged {
            workspace_id: world.workspace_id,
        },
    )
    .await;
    let due = world.due().await;
    let purge = due.iter().find(|row| row.kind == "tasks.purge_workspace").unwrap();
    for _ in 0..2 {
        world.run_due(purge).await.unwrap();
    }
    assert_eq!(code(world.service.get_task(&world.ann(), task.id).await), "tasks.task.not_found");
    assert!(world.due().await.iter().all(|row| row.kind == "tasks.purge_workspace"));
    assert!(
        world
            .service
            .list_labels(&world.ann(), world.workspace_id, None, 10, false)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn a_renamed_project_key_reaches_the_summaries() {
    use contracts::tasks::{GetTasks, Tasks};
    let world = world().await;
    let task = world.create(json!({"title": "a"})).await;
    let updated = ProjectUpdated {
        workspace_id: world.workspace_id,
        project_id: world.project_id,
        key: "NEW".into(),
        name: "n".into(),
        archived: false,
        changed: vec!["key".into()],
    };
    announce(&world, &updated).await;
    let summaries = world
        .service
        .get_tasks(&world.ann().call(), GetTasks { ids: vec![task.id] })
        .await
        .unwrap();
    assert_eq!(summaries[0].key, "NEW-1");
}
