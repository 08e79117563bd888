//! What other services announce.

use contracts::Envelope;
use contracts::event::EventPayload;
use contracts::identity::events::{EmailVerified, UserDeactivated};
use contracts::workspaces::events::{MemberRemoved, ProjectRestored, ProjectUpdated, RoleChanged, WorkspaceCreated, WorkspacePurged};
use kernel::ids::{EntityId, EventId};
use kernel::roles::Role;
use kernel::{Actor, Clock};
use platform::Caller;
use platform::db::Unit;
use platform::events::Consumer;
use serde_json::json;

use super::support::{World, body, code, field_codes, if_match, world};
use crate::events::{PeopleEvents, WorkspaceEvents};

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
    let (workspaces, people) = (WorkspaceEvents(world.service.clone()), PeopleEvents(world.service.clone()));
    let consumers: [&dyn Consumer; 2] = [&workspaces, &people];
    let consumer = consumers.into_iter().find(|consumer| consumer.event_types().contains(&P::TYPE));
    let mut unit = Unit::new(&Caller::system(&world.clock, "event"));
    consumer.expect("somebody listens").handle(&envelope, &mut unit).await.unwrap();
    world.db().apply(unit).await.unwrap();
}

#[tokio::test]
async fn calendar_feeds_end_with_the_account_and_when_its_address_is_proven_by_somebody_else() {
    let world = world().await;
    let feeds = async || world.service.list_feeds(&world.ann()).await.unwrap().items.len();
    let make = async || {
        let command = body(json!({"name": "Mine"}));
        world.service.create_feed(&world.ann(), command).await.unwrap();
    };
    let proven = |reclaimed| EmailVerified {
        user_id: world.ann,
        email: "ann@example.org".into(),
        reclaimed,
    };
    let gone = |deleted| UserDeactivated {
        user_id: world.ann,
        deleted,
        sole_owned_workspaces: None,
    };
    make().await;
    announce(&world, &proven(false)).await;
    announce(&world, &gone(false)).await;
    assert_eq!(feeds().await, 1);
    announce(&world, &proven(true)).await;
    assert_eq!(feeds().await, 0);
    make().await;
    announce(&world, &gone(true)).await;
    assert_eq!(feeds().await, 0);
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

impl World {
    async fn run_all_due(&self) {
        for row in self.due().await {
            self.run_due(&row).await.unwrap();
        }
    }
}

#[tokio::test]
async fn whoever_loses_a_project_is_taken_off_its_tasks_alone() {
    let world = world().await;
    let mut both = [world.viewer, world.ann];
    both.sort_unstable();
    let people = json!(both);
    let task = world.create(json!({"title": "a", "assignee_ids": people})).await;
    let binned = world.create(json!({"title": "b", "assignee_ids": people})).await;
    world.service.delete_task(&world.ann(), binned.id, &if_match(None)).await.unwrap();
    let command = body(json!({"title": "c", "assignee_ids": people}));
    let elsewhere = world
        .service
        .create_task(&world.ann(), world.other_project_id, command)
        .await
        .unwrap()
        .body;
    let made_private = ProjectUpdated {
        workspace_id: world.workspace_id,
        project_id: world.project_id,
        key: "ABC".into(),
        name: "n".into(),
        archived: false,
        changed: vec!["private".into()],
    };
    // Deleted meanwhile: nobody can be asked, so nobody goes.
    let project = world.neighbour.projects.lock().unwrap().remove(&world.project_id).unwrap();
    announce(&world, &made_private).await;
    world.run_all_due().await;
    world.neighbour.projects.lock().unwrap().insert(world.project_id, project);
    world.neighbour.private.lock().unwrap().insert(world.project_id);
    let ann = |role| {
        let mut projects = world.neighbour.projects.lock().unwrap();
        let roles = &mut projects.get_mut(&world.project_id).unwrap().roles;
        match role {
            Some(role) => roles.insert(world.ann, role),
            None => roles.remove(&world.ann),
        };
    };
    ann(Some(Role::Collaborator));
    assert_eq!(world.read(task.id).await.assignee_ids, both);
    assert_eq!(
        field_codes(world.patch(task.id, json!({"assignee_ids": [world.viewer, world.ann]})).await),
        ["/assignee_ids/0 not_a_member"],
        "also who is assigned already"
    );
    let restored = ProjectRestored {
        workspace_id: world.workspace_id,
        project_id: world.project_id,
    };
    announce(&world, &restored).await;
    let before = world.events().await.len();
    for _ in 0..2 {
        world.run_all_due().await;
    }
    assert_eq!(world.read(task.id).await.assignee_ids, [world.ann]);
    assert_eq!(
        world.event_types(before).await,
        ["task_assigned"],
        "once, and of the deleted task nobody hears"
    );
    assert_eq!(world.read(elsewhere.id).await.assignee_ids, both);

    // The project role goes, and with it the access to the private project.
    let narrowed = RoleChanged {
        workspace_id: world.workspace_id,
        workspace_name: "W".into(),
        project_id: Some(world.project_id),
        project_name: Some("n".into()),
        user_id: world.ann,
        old_role: Some(Role::Collaborator),
        new_role: None,
        old_sales_role: None,
        new_sales_role: None,
    };
    announce(&world, &narrowed).await;
    world.run_all_due().await;
    assert_eq!(world.read(task.id).await.assignee_ids, [world.ann], "still a reader");
    ann(None);
    for _ in 0..2 {
        world.run_all_due().await;
    }
    let owner = world.caller(world.owner);
    assert!(world.service.get_task(&owner, task.id).await.unwrap().assignee_ids.is_empty());
    assert_eq!(world.read(elsewhere.id).await.assignee_ids, both);
}

#[tokio::test]
async fn a_new_assignee_does_not_wait_for_one_who_goes() {
    let world = world().await;
    let task = world.create(json!({"title": "a", "assignee_ids": [world.viewer]})).await;
    world.neighbour.members.lock().unwrap().remove(&(world.workspace_id, world.viewer));
    let reply = world
        .service
        .assign(&world.ann(), task.id, world.owner, &if_match(None))
        .await
        .unwrap();
    assert_eq!(reply.body.assignee_ids, [world.owner]);
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
