//! Who is told what, and how often.

use contracts::identity::events::UserDeactivated;
use contracts::tasks::events::{CommentCreated, TaskAssigned, TaskCompleted, TaskCreated, TaskDueSoon, TaskOverdue, TaskRef, TaskUpdated};
use contracts::workspaces::events::{MemberAdded, MemberInvited, MemberRemoved, ProjectPurged, RoleChanged, WorkspacePurged};
use kernel::Clock;
use kernel::ids::{CommentId, EntityId, InvitationId, ProjectId};
use kernel::roles::Role;
use std::time::Duration;

use super::{World, no_match};
use crate::Config;
use crate::model::Kind;
use crate::service::preferences::ChangeChannels;

pub(super) fn comment(world: &World, task: &TaskRef, mentioned: &[kernel::ids::UserId]) -> CommentCreated {
    CommentCreated {
        task: task.clone(),
        comment_id: CommentId::generate(&world.clock),
        excerpt: "Have a look".to_owned(),
        mentioned_ids: mentioned.to_vec(),
    }
}

pub(super) async fn prefer(world: &World, user: kernel::ids::UserId, kind: Kind, in_app: bool, email: bool) {
    let change = ChangeChannels {
        in_app: Some(in_app),
        email: Some(email),
    };
    world
        .service
        .change_preferences(&world.caller(user), &no_match(), vec![(kind, Some(change))], |_| ())
        .await
        .expect("preferences");
}

#[tokio::test]
async fn an_assignee_hears_of_a_new_task_once_although_two_events_tell_of_it() {
    let world = World::new().await;
    let created = world.created(&[world.ada, world.ben]);
    world.happens(Some(world.ada), &created).await;
    let assigned = TaskAssigned {
        task: created.task.clone(),
        added_ids: vec![world.ada, world.ben],
        removed_ids: vec![],
    };
    world.happens(Some(world.ada), &assigned).await;

    let inbox = world.inbox(world.ben).await;
    assert_eq!(inbox.len(), 1, "{inbox:?}");
    assert_eq!(inbox[0].message, "Ada assigned ABC-12 Fix the login to you");
    assert_eq!(inbox[0].task_id, Some(created.task.task_id));
    assert_eq!(world.kinds(world.ada).await, Vec::<&str>::new(), "the actor is never told");
    assert_eq!(world.kinds(world.cleo).await, Vec::<&str>::new(), "not concerned");
    assert_eq!(world.announced().await, 1, "one notification.created");
    let mails = world.mails().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, "ben@example.com");
    assert!(
        mails[0]
            .text
            .contains(&format!("http://localhost:8080/v1/tasks/{}", created.task.task_id)),
        "{}",
        mails[0].text
    );
}

#[tokio::test]
async fn the_same_event_twice_changes_nothing() {
    let world = World::new().await;
    let event = world.envelope(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]));
    world.try_deliver(&event).await.expect("first");
    // The inbox of the relay stops a second delivery; should it ever fail, the unique constraint does.
    let second = world.try_deliver(&event).await;
    assert!(second.is_err_and(|error| error.is_unique()));
    assert_eq!(world.kinds(world.ben).await, vec!["task.commented"]);
    assert_eq!(world.mails().await.len(), 1);
}

#[tokio::test]
async fn a_mailed_only_change_is_not_mailed_twice() {
    let world = World::new().await;
    prefer(&world, world.ben, Kind::TaskAssigned, false, true).await;
    let created = world.created(&[world.ben]);
    world.happens(Some(world.ada), &created).await;
    let assigned = TaskAssigned {
        task: created.task,
        added_ids: vec![world.ben],
        removed_ids: vec![],
    };
    world.happens(Some(world.ada), &assigned).await;
    assert_eq!(world.inbox(world.ben).await, vec![]);
    assert_eq!(world.unread(world.ben).await, 0);
    assert_eq!(world.announced().await, 0, "nothing in the inbox, nothing to announce");
    assert_eq!(world.mails().await.len(), 1);
}

#[tokio::test]
async fn a_more_specific_reason_replaces_the_same_changes_weaker_one() {
    let world = World::new().await;
    let mut task = world.task(&[world.ben, world.cleo]);
    task.version = 4;
    let updated = TaskUpdated {
        task: task.clone(),
        changed: vec!["title".to_owned()],
        mentioned_ids: vec![],
    };
    world.happens(Some(world.ada), &updated).await;
    world.happens(Some(world.ada), &TaskCompleted { task: task.clone() }).await;
    assert_eq!(world.kinds(world.ben).await, vec!["task.completed"]);
    task.version = 5;
    let next = TaskUpdated { task, ..updated };
    world.happens(Some(world.ada), &next).await;
    assert_eq!(world.inbox(world.ben).await.len(), 2, "another version is another change");
}

#[tokio::test]
async fn moving_a_card_tells_nobody() {
    let world = World::new().await;
    let moved = TaskUpdated {
        task: world.task(&[world.ben]),
        changed: vec!["position".to_owned()],
        mentioned_ids: vec![],
    };
    world.happens(Some(world.ada), &moved).await;
    assert_eq!(world.kinds(world.ben).await, Vec::<&str>::new());
}

#[tokio::test]
async fn who_commented_hears_of_the_next_comment_and_a_mention_wins() {
    let world = World::new().await;
    let task = world.task(&[]);
    world.happens(Some(world.cleo), &comment(&world, &task, &[])).await;
    assert_eq!(world.kinds(world.ada).await, vec!["task.commented"], "she made the task");
    world.happens(Some(world.ben), &comment(&world, &task, &[world.ada])).await;
    assert_eq!(world.kinds(world.cleo).await, vec!["task.commented"], "she commented before");
    assert_eq!(world.kinds(world.ada).await, vec!["task.mentioned", "task.commented"]);
    assert_eq!(world.inbox(world.cleo).await[0].excerpt.as_deref(), Some("Have a look"));
}

#[tokio::test]
async fn sec_22_nobody_without_access_is_told() {
    let world = World::new().await;
    world.workspaces.add_project(world.workspace, world.project, true);
    world.workspaces.set_project_role(world.project, world.ben, Some(Role::Viewer));
    let created = TaskCreated {
        task: world.task(&[world.ben, world.cleo, world.mallory]),
        mentioned_ids: vec![],
        import_id: None,
    };
    world.happens(Some(world.ada), &created).await;
    assert_eq!(world.kinds(world.ben).await, vec!["task.assigned"]);
    let told: Vec<String> = world.mails().await.into_iter().map(|mail| mail.to).collect();
    assert_eq!(
        told,
        vec!["ben@example.com"],
        "Cleo is not in the private project, Mallory not in the workspace"
    );

    world.workspaces.remove_member(world.workspace, world.ben);
    world.happens(Some(world.ada), &TaskCompleted { task: created.task }).await;
    assert_eq!(world.announced().await, 1, "who was removed hears nothing new");
}

#[tokio::test]
async fn disabled_people_get_nothing_and_unverified_ones_no_mail_when_so_configured() {
    let world = World::with(Config {
        email_requires_verified: true,
        ..Config::default()
    })
    .await;
    world.identity.change(world.ben, |ben| ben.active = false);
    world.identity.change(world.cleo, |cleo| cleo.email_verified = false);
    world.happens(Some(world.ada), &world.created(&[world.ben, world.cleo])).await;
    assert_eq!(world.kinds(world.cleo).await, vec!["task.assigned"]);
    assert_eq!(world.announced().await, 1);
    assert_eq!(world.mails().await, vec![]);
}

#[tokio::test]
async fn preferences_decide_per_kind_and_channel() {
    let world = World::new().await;
    prefer(&world, world.ben, Kind::TaskCommented, false, false).await;
    prefer(&world, world.cleo, Kind::TaskCreated, true, false).await;
    let created = world.created(&[]);
    world.happens(Some(world.ada), &created).await;
    assert_eq!(world.kinds(world.cleo).await, vec!["task.created"], "she asked for it");
    assert_eq!(world.kinds(world.ben).await, Vec::<&str>::new(), "off by default");
    let task = TaskRef {
        assignee_ids: vec![world.ben],
        ..created.task
    };
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    assert_eq!(world.kinds(world.ben).await, Vec::<&str>::new());
    assert_eq!(world.mails().await, vec![]);
}

#[tokio::test]
async fn due_moments_are_told_in_the_readers_zone() {
    let world = World::new().await;
    world
        .identity
        .change(world.ben, |ben| ben.time_zone = "America/New_York".to_owned());
    let task = world.task(&[world.ben]);
    let due_at = "2026-03-03T15:00:00Z".parse().expect("time");
    world
        .happens(
            None,
            &TaskDueSoon {
                task: task.clone(),
                due_at,
            },
        )
        .await;
    world.happens(None, &TaskOverdue { task, due_at }).await;
    assert_eq!(world.kinds(world.ben).await.len(), 2, "two facts, although the task did not change");
    let text = &world.mails().await[0].text;
    assert!(text.contains("Tuesday, 3 March 2026, 10:00 (America/New_York)"), "{text}");
}

#[tokio::test]
async fn an_invitation_reaches_a_stranger_and_membership_news_the_right_people() {
    let world = World::new().await;
    let invited = MemberInvited {
        workspace_id: world.workspace,
        workspace_name: "Acme".to_owned(),
        invitation_id: InvitationId::generate(&world.clock),
        email: Some("mallory@example.com".to_owned()),
        user_id: Some(world.mallory),
        role: Role::Collaborator,
    };
    world.happens(Some(world.ada), &invited).await;
    let inbox = world.inbox(world.mallory).await;
    assert_eq!(inbox[0].message, "Ada invited you to Acme");
    assert_eq!(inbox[0].invitation_id, Some(invited.invitation_id));
    assert_eq!(world.mails().await, vec![], "the invitation is a mail already");

    world.workspaces.add_member(world.workspace, world.mallory, Role::Collaborator);
    let added = MemberAdded {
        workspace_id: world.workspace,
        workspace_name: "Acme".to_owned(),
        user_id: world.mallory,
        role: Role::Collaborator,
        sales_role: None,
    };
    world.happens(Some(world.mallory), &added).await;
    assert_eq!(world.inbox(world.ada).await[0].message, "Mallory joined Acme");
    assert_eq!(world.kinds(world.ben).await, Vec::<&str>::new(), "no owner");

    let changed = RoleChanged {
        workspace_id: world.workspace,
        workspace_name: "Acme".to_owned(),
        project_id: None,
        project_name: None,
        user_id: world.mallory,
        old_role: Some(Role::Collaborator),
        new_role: Some(Role::Viewer),
        old_sales_role: None,
        new_sales_role: None,
    };
    world.happens(Some(world.ada), &changed).await;
    assert_eq!(world.inbox(world.mallory).await[0].message, "Ada made you viewer in Acme");
    assert_eq!(world.mails().await.len(), 1);

    world.workspaces.remove_member(world.workspace, world.mallory);
    let left = MemberRemoved {
        workspace_id: world.workspace,
        user_id: world.mallory,
        left: true,
    };
    world.happens(Some(world.mallory), &left).await;
    assert_eq!(
        world.inbox(world.ada).await[0].message,
        "Mallory is no longer a member of the workspace"
    );
    assert_eq!(world.kinds(world.mallory).await, vec!["member.invited"], "all else is hidden");
}

#[tokio::test]
async fn the_gone_leave_nothing_behind() {
    let world = World::new().await;
    let task = world.task(&[world.ben, world.cleo]);
    world.happens(Some(world.ben), &comment(&world, &task, &[])).await;
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    prefer(&world, world.ben, Kind::TaskUpdated, true, true).await;
    let locked = UserDeactivated {
        user_id: world.ben,
        deleted: false,
        sole_owned_workspaces: None,
    };
    world.happens(None, &locked).await;
    assert_eq!(world.inbox(world.ben).await.len(), 1, "a locked account may come back");
    let deleted = UserDeactivated { deleted: true, ..locked };
    world.happens(None, &deleted).await;
    assert_eq!(world.inbox(world.ben).await, vec![]);
    assert_eq!(super::rows(&world.db, "task_participants").await, 1, "Ada's");

    let purged = WorkspacePurged {
        workspace_id: world.workspace,
    };
    world.happens(None, &purged).await;
    world.work().await;
    for table in ["notifications", "event_log", "event_counters", "task_participants"] {
        assert_eq!(super::rows(&world.db, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_purged_project_takes_its_news_along_and_leaves_the_others() {
    let world = World::new().await;
    let mut elsewhere = world.task(&[world.ben]);
    elsewhere.project_id = ProjectId::generate(&world.clock);
    world.workspaces.add_project(world.workspace, elsewhere.project_id, false);
    let here = world.task(&[world.ben]);
    // More than one portion of each.
    for _ in 0..300 {
        world.happens(Some(world.cleo), &comment(&world, &here, &[])).await;
    }
    world.happens(Some(world.cleo), &comment(&world, &elsewhere, &[])).await;
    world.happens(Some(world.ada), &comment(&world, &here, &[])).await;
    assert_eq!(super::rows(&world.db, "task_participants").await, 3);

    let purged = ProjectPurged {
        workspace_id: world.workspace,
        project_id: here.project_id,
    };
    // Told twice, run twice: the second finds nothing.
    for _ in 0..2 {
        world.happens(None, &purged).await;
        world.work().await;
        let inbox = world.inbox(world.ben).await;
        assert_eq!(
            inbox.iter().map(|item| item.project_id).collect::<Vec<_>>(),
            vec![Some(elsewhere.project_id)]
        );
        assert_eq!(super::rows(&world.db, "task_participants").await, 1);
        assert_eq!(super::rows(&world.db, "event_log").await, 1);
    }
    assert_eq!(
        super::rows(&world.db, "notifications").await,
        2,
        "Ben's and Ada's of the other project"
    );
    world.happens(Some(world.ada), &comment(&world, &elsewhere, &[])).await;
    assert_eq!(world.kinds(world.ben).await.len(), 2, "life goes on, numbers too");
}

#[tokio::test]
async fn retention_erases_old_read_and_older_unread_notifications() {
    let world = World::new().await;
    for _ in 0..2 {
        world.happens(Some(world.ada), &world.created(&[world.ben])).await;
    }
    let id = world.inbox(world.ben).await[0].id;
    world.service.set_read(&world.caller(world.ben), id, true).await.expect("read");
    let sweep = platform::Service::sweeps(std::sync::Arc::clone(&world.service)).remove(0);
    sweep.run().await.expect("sweep");
    assert_eq!(world.inbox(world.ben).await.len(), 2);
    world.clock.advance(Duration::from_secs(91 * 86_400));
    sweep.run().await.expect("sweep");
    let left = world.inbox(world.ben).await;
    assert_eq!(left.len(), 1);
    assert!(left[0].read_at.is_none());
    assert_eq!(super::rows(&world.db, "event_log").await, 0);
    world.clock.advance(Duration::from_secs(300 * 86_400));
    sweep.run().await.expect("sweep");
    assert_eq!(world.inbox(world.ben).await, vec![], "{}", world.clock.now());
}
