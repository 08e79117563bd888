//! Live event streams.

use std::time::Duration;

use contracts::PublicEvent;
use contracts::notifications::events::NotificationCreated;
use contracts::workspaces::events::{MemberInvited, ProjectDeleted};
use kernel::ErrorKind;
use kernel::ids::{EntityId, InvitationId, NotificationId, ProjectId, SessionId, UserId};
use kernel::roles::Role;
use platform::signals::Signal;

use super::World;
use crate::Config;
use crate::service::streams::{EndReason, EventStream, Frame};

/// Nothing here waits as long unless it is broken.
const SOON: Duration = Duration::from_secs(5);

async fn open(world: &World, user: UserId, last_event_id: Option<&str>) -> EventStream {
    world
        .service
        .open_stream(world.caller(user), world.workspace, last_event_id)
        .await
        .expect("the stream opens")
}

async fn next(stream: &mut EventStream) -> Option<Frame> {
    tokio::time::timeout(SOON, stream.next()).await.expect("a frame in time")
}

/// The next event that is no heartbeat.
async fn event(stream: &mut EventStream) -> PublicEvent {
    loop {
        match next(stream).await {
            Some(Frame::Event(entry)) => return serde_json::from_str(&entry.envelope).expect("public JSON"),
            Some(Frame::Heartbeat) => {}
            other => panic!("not an event: {other:?}"),
        }
    }
}

/// True when nothing but heartbeats comes for a while.
async fn silent(stream: &mut EventStream) -> bool {
    let quiet = async {
        loop {
            if !matches!(stream.next().await, Some(Frame::Heartbeat)) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_millis(700), quiet).await.is_err()
}

async fn create(world: &World, count: usize) {
    for _ in 0..count {
        world.happens(Some(world.ada), &world.created(&[])).await;
    }
}

#[tokio::test]
async fn events_arrive_in_order_and_a_resumed_stream_has_no_gap() {
    let world = World::new().await;
    create(&world, 2).await;
    let mut first = open(&world, world.ben, None).await;
    assert_eq!(next(&mut first).await, Some(Frame::Ready { id: 2 }));
    create(&world, 3).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        match next(&mut first).await {
            Some(Frame::Event(entry)) => seen.push(entry.seq),
            other => panic!("not an event: {other:?}"),
        }
    }
    assert_eq!(seen, vec![3, 4, 5]);
    drop(first);
    create(&world, 2).await;
    let mut resumed = open(&world, world.ben, Some("4")).await;
    assert_eq!(next(&mut resumed).await, Some(Frame::Ready { id: 4 }));
    for expected in 5..=7 {
        assert!(matches!(next(&mut resumed).await, Some(Frame::Event(entry)) if entry.seq == expected));
    }
    assert!(silent(&mut resumed).await);
}

#[tokio::test]
async fn an_event_reaches_a_waiting_client_at_once() {
    let world = World::with(Config {
        poll_milliseconds: 1_000,
        ..Config::default()
    })
    .await;
    let mut stream = open(&world, world.ben, None).await;
    next(&mut stream).await;
    let waiting = async {
        let event = event(&mut stream).await;
        (event, std::time::Instant::now())
    };
    let creating = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        create(&world, 1).await;
        std::time::Instant::now()
    };
    let ((event, received), committed) = tokio::join!(waiting, creating);
    assert_eq!(event.event_type, "task.created");
    let delay = received.saturating_duration_since(committed);
    assert!(delay < Duration::from_millis(450), "the hint beats the poll: {delay:?}");
}

#[tokio::test]
async fn public_events_tell_nothing_of_sessions_and_requests() {
    let world = World::new().await;
    let mut stream = open(&world, world.ben, None).await;
    next(&mut stream).await;
    create(&world, 1).await;
    let Some(Frame::Event(entry)) = next(&mut stream).await else {
        panic!("an event");
    };
    for secret in ["session", "req-secret", "traceparent"] {
        assert!(!entry.envelope.contains(secret), "{}", entry.envelope);
    }
    let public: PublicEvent = serde_json::from_str(&entry.envelope).expect("json");
    assert_eq!((public.event_type.as_str(), public.actorid), ("task.created", Some(world.ada)));
}

#[tokio::test]
async fn unknown_and_forgotten_positions_reset_the_client() {
    let world = World::new().await;
    create(&world, 3).await;
    for id in ["4", "-1", "abc", "99999999999999999999"] {
        let mut stream = open(&world, world.ben, Some(id)).await;
        assert_eq!(next(&mut stream).await, Some(Frame::Reset { id: 3 }), "{id}");
    }
    world.clock.advance(Duration::from_secs(169 * 3_600));
    platform::Service::sweeps(std::sync::Arc::clone(&world.service))
        .remove(0)
        .run()
        .await
        .expect("sweep");
    let mut stale = open(&world, world.ben, Some("2")).await;
    assert_eq!(next(&mut stale).await, Some(Frame::Reset { id: 3 }));
    let mut current = open(&world, world.ben, Some("3")).await;
    assert_eq!(next(&mut current).await, Some(Frame::Ready { id: 3 }));
    create(&world, 1).await;
    assert!(
        matches!(next(&mut current).await, Some(Frame::Event(entry)) if entry.seq == 4),
        "numbers go on"
    );
}

#[tokio::test]
async fn a_client_far_behind_reads_the_whole_log_in_small_pieces() {
    let world = World::with(Config {
        client_queue: 3,
        ..Config::default()
    })
    .await;
    create(&world, 1).await;
    let mut near = open(&world, world.cleo, Some("1")).await;
    create(&world, 300).await;
    // Fills the shared memory with the newest.
    next(&mut near).await;
    event(&mut near).await;
    let mut far = open(&world, world.ben, Some("0")).await;
    assert_eq!(next(&mut far).await, Some(Frame::Ready { id: 0 }));
    for expected in 1..=301 {
        assert!(
            matches!(next(&mut far).await, Some(Frame::Event(entry)) if entry.seq == expected),
            "{expected}"
        );
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_and_resumes() {
    let world = World::with(Config {
        client_queue: 5,
        slow_client_seconds: 1,
        ..Config::default()
    })
    .await;
    let mut stream = open(&world, world.ben, None).await;
    next(&mut stream).await;
    create(&world, 20).await;
    let Some(Frame::Event(entry)) = next(&mut stream).await else {
        panic!("an event");
    };
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(next(&mut stream).await, None);
    let mut again = open(&world, world.ben, Some(&entry.seq.to_string())).await;
    next(&mut again).await;
    assert!(matches!(next(&mut again).await, Some(Frame::Event(next)) if next.seq == entry.seq + 1));
}

#[tokio::test]
async fn sec_22_a_removed_member_hears_nothing_more_at_once() {
    let world = World::with(Config {
        recheck_seconds: 30,
        ..Config::default()
    })
    .await;
    let mut stream = open(&world, world.ben, None).await;
    next(&mut stream).await;
    create(&world, 3).await;
    event(&mut stream).await;
    // Two more are in the queue already.
    world.workspaces.remove_member(world.workspace, world.ben);
    world.signals.publish(Signal::MembershipChanged {
        workspace_id: world.workspace,
        user_id: Some(world.ben),
    });
    assert_eq!(next(&mut stream).await, Some(Frame::End(EndReason::AccessLost)));
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn sec_14_an_ended_session_ends_its_streams_even_without_a_signal() {
    let world = World::with(Config {
        recheck_seconds: 1,
        ..Config::default()
    })
    .await;
    let mut stream = open(&world, world.ben, None).await;
    next(&mut stream).await;
    world.identity.end_session(SessionId::from_uuid(world.ben.uuid()));
    assert_eq!(next(&mut stream).await, Some(Frame::End(EndReason::AccessLost)));
}

#[tokio::test]
async fn a_stream_ends_with_its_time_its_token_and_the_process() {
    let world = World::with(Config {
        max_stream_seconds: 1,
        ..Config::default()
    })
    .await;
    let mut expiring = open(&world, world.ben, None).await;
    next(&mut expiring).await;
    assert_eq!(next(&mut expiring).await, Some(Frame::End(EndReason::Expired)));
    let world = World::new().await;
    let caller = platform::Caller {
        token_expires_at: Some(kernel::Clock::now(&world.clock).plus(Duration::from_millis(300))),
        ..world.caller(world.ben)
    };
    let mut expiring = world
        .service
        .open_stream(caller, world.workspace, None)
        .await
        .expect("the stream opens");
    next(&mut expiring).await;
    assert_eq!(
        next(&mut expiring).await,
        Some(Frame::End(EndReason::Expired)),
        "the token ends before the stream"
    );
    let mut stopping = open(&world, world.ben, None).await;
    next(&mut stopping).await;
    world.signals.publish(Signal::Stopping);
    assert_eq!(next(&mut stopping).await, Some(Frame::End(EndReason::Restart)));
    assert_eq!(next(&mut stopping).await, None);
}

#[tokio::test]
async fn each_reader_sees_only_what_they_may() {
    let world = World::new().await;
    let secret = ProjectId::generate(&world.clock);
    world.workspaces.add_project(world.workspace, secret, true);
    world.workspaces.set_project_role(secret, world.cleo, Some(Role::Viewer));
    let mut streams = Vec::new();
    for user in [world.ada, world.ben, world.cleo] {
        let mut stream = open(&world, user, None).await;
        next(&mut stream).await;
        streams.push(stream);
    }
    let mut hidden = world.created(&[]);
    hidden.task.project_id = secret;
    world.happens(Some(world.ada), &hidden).await;
    let invited = MemberInvited {
        workspace_id: world.workspace,
        workspace_name: "Acme".to_owned(),
        invitation_id: InvitationId::generate(&world.clock),
        email: Some("secret@example.com".to_owned()),
        user_id: None,
        role: Role::Viewer,
    };
    world.happens(Some(world.ada), &invited).await;
    let mine = NotificationCreated {
        notification_id: NotificationId::generate(&world.clock),
        user_id: world.ben,
        workspace_id: Some(world.workspace),
        kind: "task.assigned".to_owned(),
    };
    world.happens(None, &mine).await;
    let gone = ProjectDeleted {
        workspace_id: world.workspace,
        project_id: secret,
    };
    world.happens(Some(world.ada), &gone).await;
    let expected: [&[&str]; 3] = [
        &["task.created", "invitation.created", "project.deleted"],
        &["notification.created", "project.deleted"],
        &["task.created", "project.deleted"],
    ];
    for (stream, expected) in streams.iter_mut().zip(expected) {
        for kind in expected {
            assert_eq!(event(stream).await.event_type, *kind);
        }
        assert!(silent(stream).await);
    }
}

#[tokio::test]
async fn access_to_a_project_counts_from_the_moment_it_changes() {
    let world = World::with(Config {
        recheck_seconds: 30,
        ..Config::default()
    })
    .await;
    world.workspaces.add_project(world.workspace, world.project, true);
    let mut stream = open(&world, world.ben, None).await;
    next(&mut stream).await;
    create(&world, 1).await;
    assert!(silent(&mut stream).await);
    world.workspaces.set_project_role(world.project, world.ben, Some(Role::Viewer));
    world.signals.publish(Signal::MembershipChanged {
        workspace_id: world.workspace,
        user_id: Some(world.ben),
    });
    create(&world, 1).await;
    assert_eq!(event(&mut stream).await.event_type, "task.created");
}

#[tokio::test]
async fn quiet_streams_send_heartbeats() {
    let world = World::with(Config {
        heartbeat_seconds: 1,
        ..Config::default()
    })
    .await;
    let mut stream = open(&world, world.ben, None).await;
    next(&mut stream).await;
    assert_eq!(next(&mut stream).await, Some(Frame::Heartbeat));
}

#[tokio::test]
async fn strangers_get_404_and_too_many_streams_429() {
    let world = World::with(Config {
        max_streams_per_user: 1,
        ..Config::default()
    })
    .await;
    let refused = world
        .service
        .open_stream(world.caller(world.mallory), world.workspace, None)
        .await
        .err()
        .expect("a stranger");
    assert_eq!(
        (refused.kind, &*refused.code),
        (ErrorKind::NotFound, "notifications.workspace.not_found")
    );
    let first = open(&world, world.ben, None).await;
    let second = world.service.open_stream(world.caller(world.ben), world.workspace, None).await;
    let error = second.err().expect("one too many");
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert!(error.retry_after.is_some());
    drop(first);
    open(&world, world.ben, None).await;
}
