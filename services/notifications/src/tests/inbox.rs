//! Reading, marking and dismissing.

use std::time::Duration;

use kernel::ErrorKind;
use kernel::ids::{EntityId, NotificationId, UserId};
use kernel::roles::Role;

use super::{World, if_match, no_match};
use crate::model::Kind;
use crate::service::inbox::ListInbox;
use crate::service::preferences::ChangeChannels;

fn page(limit: u32, cursor: Option<String>) -> ListInbox {
    ListInbox {
        unread: None,
        workspace_id: None,
        kinds: Vec::new(),
        cursor,
        limit,
        include_total: true,
    }
}

async fn fill(world: &World, user: UserId, count: usize) {
    for n in 0..count {
        let event = world.envelope(Some(world.ada), &world.created(&[user]));
        world.try_deliver(&event).await.expect("delivered");
        // Pairs share a moment, so that the id has to break the tie.
        if n % 2 == 1 {
            world.clock.advance(Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn pages_cover_the_inbox_once_newest_first() {
    let world = World::new().await;
    fill(&world, world.ben, 7).await;
    let ben = world.caller(world.ben);
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let list = world.service.list_inbox(&ben, page(3, cursor)).await.expect("page");
        assert_eq!(list.total, Some(7));
        seen.extend(list.items.into_iter().map(|item| (item.created_at, item.id)));
        cursor = list.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!(seen, sorted);
    assert_eq!(seen.len(), 7);
}

#[tokio::test]
async fn a_cursor_holds_only_for_its_filter_and_its_owner() {
    let world = World::new().await;
    fill(&world, world.ben, 3).await;
    let first = world
        .service
        .list_inbox(&world.caller(world.ben), page(1, None))
        .await
        .expect("page");
    for (user, unread) in [(world.cleo, None), (world.ben, Some(true))] {
        let request = ListInbox {
            unread,
            ..page(1, first.next_cursor.clone())
        };
        let error = world
            .service
            .list_inbox(&world.caller(user), request)
            .await
            .expect_err("foreign cursor");
        assert_eq!(error.kind, ErrorKind::Malformed);
    }
}

#[tokio::test]
async fn filters_and_counts_agree() {
    let world = World::new().await;
    fill(&world, world.ben, 3).await;
    let ben = world.caller(world.ben);
    let items = world.inbox(world.ben).await;
    world.service.set_read(&ben, items[0].id, true).await.expect("read");
    let read_at = world.inbox(world.ben).await[0].read_at;
    world.clock.advance(Duration::from_secs(5));
    world
        .service
        .set_read(&world.caller(world.ben), items[0].id, true)
        .await
        .expect("again");
    assert_eq!(world.inbox(world.ben).await[0].read_at, read_at, "the first reading counts");
    assert_eq!(world.unread(world.ben).await, 2);
    for (unread, kinds, expected) in [
        (Some(true), vec![], 2),
        (Some(false), vec![Kind::TaskAssigned, Kind::TaskCommented], 1),
        (None, vec![Kind::TaskCommented], 0),
    ] {
        let request = ListInbox {
            unread,
            kinds,
            ..page(50, None)
        };
        assert_eq!(world.service.list_inbox(&ben, request).await.expect("page").items.len(), expected);
    }
    world.service.set_read(&ben, items[0].id, false).await.expect("unread");
    assert_eq!(world.unread(world.ben).await, 3);
}

#[tokio::test]
async fn marking_all_stops_at_the_moment_the_reader_saw() {
    let world = World::new().await;
    fill(&world, world.ben, 2).await;
    let seen = world.inbox(world.ben).await[0].created_at;
    world.clock.advance(Duration::from_secs(60));
    fill(&world, world.ben, 1).await;
    let reply = world
        .service
        .read_all(&world.caller(world.ben), None, Some(seen))
        .await
        .expect("reply");
    assert_eq!(reply.body.marked, 2);
    assert_eq!(world.unread(world.ben).await, 1);
    let foreign = world
        .service
        .read_all(
            &world.caller(world.ben),
            Some(kernel::ids::WorkspaceId::generate(&world.clock)),
            None,
        )
        .await
        .expect("reply");
    assert_eq!(foreign.body.marked, 0);
    assert_eq!(world.unread(world.ben).await, 1);
}

#[tokio::test]
async fn other_peoples_notifications_do_not_exist() {
    let world = World::new().await;
    fill(&world, world.ben, 1).await;
    let id = world.inbox(world.ben).await[0].id;
    let cleo = world.caller(world.cleo);
    for error in [
        world.service.set_read(&cleo, id, true).await.expect_err("foreign"),
        world.service.dismiss(&cleo, id).await.expect_err("foreign"),
        world.service.get_notification(&cleo, id).await.expect_err("foreign"),
        world
            .service
            .dismiss(&cleo, NotificationId::generate(&world.clock))
            .await
            .expect_err("unknown"),
    ] {
        assert_eq!(
            (error.kind, &*error.code),
            (ErrorKind::NotFound, "notifications.notification.not_found")
        );
    }
    assert_eq!(world.unread(world.ben).await, 1);
}

#[tokio::test]
async fn what_is_dismissed_stays_away() {
    let world = World::new().await;
    let created = world.created(&[world.ben]);
    world.happens(Some(world.ada), &created).await;
    let id = world.inbox(world.ben).await[0].id;
    let ben = world.caller(world.ben);
    world.service.dismiss(&ben, id).await.expect("dismissed");
    assert_eq!(world.service.dismiss(&ben, id).await.expect_err("gone").kind, ErrorKind::NotFound);
    let assigned = contracts::tasks::events::TaskAssigned {
        task: created.task,
        added_ids: vec![world.ben],
        removed_ids: vec![],
    };
    world.happens(Some(world.ada), &assigned).await;
    assert_eq!(world.inbox(world.ben).await, vec![]);
    assert_eq!(world.unread(world.ben).await, 0);
}

#[tokio::test]
async fn sec_22_lost_access_hides_what_was_delivered_before() {
    let world = World::new().await;
    fill(&world, world.ben, 2).await;
    let id = world.inbox(world.ben).await[0].id;
    world.workspaces.add_project(world.workspace, world.project, true);
    assert_eq!(world.inbox(world.ben).await, vec![], "the project became private");
    assert_eq!(world.unread(world.ben).await, 0);
    let error = world
        .service
        .get_notification(&world.caller(world.ben), id)
        .await
        .expect_err("hidden");
    assert_eq!(error.kind, ErrorKind::NotFound);
    world.workspaces.set_project_role(world.project, world.ben, Some(Role::Viewer));
    assert_eq!(world.unread(world.ben).await, 2);
    world.workspaces.remove_member(world.workspace, world.ben);
    assert_eq!(world.unread(world.ben).await, 0);
}

#[tokio::test]
async fn lost_access_is_found_in_inboxes_that_span_many_projects() {
    let world = World::new().await;
    for n in 0..12 {
        let project = kernel::ids::ProjectId::generate(&world.clock);
        world.workspaces.add_project(world.workspace, project, false);
        let mut created = world.created(&[world.ben]);
        created.task.project_id = project;
        world.happens(Some(world.ada), &created).await;
        if n < 5 {
            world.workspaces.add_project(world.workspace, project, true);
        }
    }
    assert_eq!(world.unread(world.ben).await, 7);
    assert_eq!(world.inbox(world.ben).await.len(), 7);
}

#[tokio::test]
async fn a_list_costs_a_fixed_number_of_statements() {
    let world = World::new().await;
    fill(&world, world.ben, 50).await;
    let ben = world.caller(world.ben);
    let request = ListInbox {
        include_total: false,
        ..page(50, None)
    };
    let (list, statements) = platform::db::count_statements(world.service.list_inbox(&ben, request)).await;
    assert_eq!(list.expect("page").items.len(), 50);
    assert_eq!(statements, 2, "one for the scopes, one for the page");
}

#[tokio::test]
async fn preferences_are_patched_channel_by_channel_and_reset() {
    let world = World::new().await;
    let ben = world.caller(world.ben);
    let change = |in_app, email| Some(ChangeChannels { in_app, email });
    let reply = world
        .service
        .change_preferences(
            &ben,
            &no_match(),
            vec![
                (Kind::TaskCommented, change(None, Some(false))),
                (Kind::TaskCreated, change(Some(true), None)),
            ],
            |preferences| (preferences.channels(Kind::TaskCommented), preferences.channels(Kind::TaskCreated)),
        )
        .await
        .expect("changed");
    let (commented, created) = reply.body;
    assert_eq!((commented.in_app, commented.email), (true, false));
    assert_eq!((created.in_app, created.email), (true, false));
    let reply = world
        .service
        .change_preferences(&ben, &no_match(), vec![(Kind::TaskCommented, None)], |preferences| {
            preferences.channels(Kind::TaskCommented)
        })
        .await
        .expect("reset");
    assert_eq!(reply.body, Kind::TaskCommented.default_channels());

    // The tag is that of what is shown: a change of it lets the old one fail, and nothing is written then.
    let created = |preferences: &crate::model::Preferences| preferences.channels(Kind::TaskCreated);
    let switch = |email| vec![(Kind::TaskCreated, change(None, Some(email)))];
    let first = world.service.change_preferences(&ben, &no_match(), switch(true), created).await;
    let first = first.expect("changed").version;
    let second = world
        .service
        .change_preferences(&ben, &if_match(first), switch(false), created)
        .await;
    let second = second.expect("the tag fits").version;
    assert_ne!(second, first);
    let stale = world
        .service
        .change_preferences(&ben, &if_match(first), switch(true), created)
        .await;
    assert_eq!(stale.expect_err("stale").code, "request.version_mismatch");
    let now = world.service.preferences(&ben).await.expect("his");
    assert!(!now.channels(Kind::TaskCreated).email);
    let refused = world
        .service
        .change_preferences(&ben, &no_match(), vec![(Kind::MemberInvited, change(None, Some(true)))], |_| ())
        .await
        .expect_err("no mail of its own");
    assert_eq!(refused.fields[0].pointer, "/member.invited/email");
    assert_eq!(
        world
            .service
            .preferences(&world.caller(world.cleo))
            .await
            .expect("hers")
            .channels(Kind::TaskCreated),
        Kind::TaskCreated.default_channels()
    );
}
