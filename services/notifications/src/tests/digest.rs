//! The daily digest.

use std::time::Duration;

use contracts::identity::events::{ProfileUpdated, UserDeactivated};
use contracts::tasks::events::{TaskAssigned, TaskOverdue, TaskUpdated};
use kernel::ids::UserId;
use kernel::roles::Role;
use kernel::{Clock, ErrorKind, Timestamp};
use platform::Caller;
use platform::mail::Mail;

use super::news::{comment, prefer};
use super::{World, if_match, no_match};
use crate::model::{EmailMode, Kind};
use crate::service::settings::ChangeSettings;
use crate::service::tag::tag;
use crate::service::views::SettingsView;

const DAILY_AT_EIGHT: ChangeSettings = ChangeSettings {
    email_mode: Some(EmailMode::Daily),
    digest_hour: Some(8),
};
/// Berlin's eight o'clock after [`testkit::FixedClock::START`].
const FIRST: &str = "2026-03-03T07:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

impl World {
    /// Ben lives in Berlin and wants a digest at eight.
    async fn with_digest() -> Self {
        let world = Self::new().await;
        world.identity.change(world.ben, |ben| ben.time_zone = "Europe/Berlin".to_owned());
        world.set(world.ben, DAILY_AT_EIGHT).await;
        world
    }

    async fn set(&self, user: UserId, change: ChangeSettings) -> SettingsView {
        let reply = self.service.change_settings(&self.caller(user), &no_match(), change).await;
        reply.expect("settings").body
    }

    async fn next_digest(&self, user: UserId) -> Option<String> {
        let settings = self.service.settings(&self.caller(user)).await.expect("settings");
        settings.next_digest_at.map(|at| at.to_string())
    }

    /// The clock shows `now`, and what is due is done.
    async fn passes(&self, now: &str) {
        self.clock.set(at(now));
        self.work().await;
    }

    async fn digests(&self) -> Vec<Mail> {
        let mails = self.mails().await.into_iter();
        mails.filter(|mail| mail.subject.starts_with("Daily digest")).collect()
    }
}

#[tokio::test]
async fn a_digest_comes_at_the_readers_hour_with_all_that_waited_and_never_empty() {
    let world = World::with_digest().await;
    assert_eq!(world.next_digest(world.ben).await, None, "nothing waits");
    let task = world.task(&[world.ben, world.cleo]);
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    world.happens(Some(world.ada), &comment(&world, &task, &[world.ben])).await;
    assert_eq!(
        world.kinds(world.ben).await,
        vec!["task.mentioned", "task.commented"],
        "the inbox waits for nothing"
    );
    assert_eq!(world.next_digest(world.ben).await.as_deref(), Some(FIRST));
    world.passes("2026-03-03T06:59:59Z").await;
    let mails = world.mails().await;
    assert!(mails.iter().all(|mail| mail.to == "cleo@example.com"), "she gets hers at once");
    assert_eq!(mails.len(), 2);

    world.passes(FIRST).await;
    let digests = world.digests().await;
    assert_eq!(digests.len(), 1);
    assert_eq!(
        (digests[0].to.as_str(), digests[0].subject.as_str()),
        ("ben@example.com", "Daily digest: 2 notifications")
    );
    assert!(
        digests[0]
            .text
            .contains("Project (ABC)\n- Mon 10:00 Ada commented on ABC-12 Fix the login\n"),
        "{}",
        digests[0].text
    );
    assert!(digests[0].text.contains("Ada mentioned you in ABC-12"), "{}", digests[0].text);
    for later in ["2026-03-03T07:00:01Z", "2026-03-04T07:00:00Z", "2026-03-05T07:00:00Z"] {
        world.passes(later).await;
    }
    assert_eq!(world.digests().await.len(), 1, "no news, no digest");
    assert_eq!(world.next_digest(world.ben).await, None);
}

#[tokio::test]
async fn however_often_and_wherever_it_runs_there_is_one() {
    let world = World::with_digest().await;
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    world.clock.set(at(FIRST));
    let caller = Caller::system(&world.clock, "replica");
    let run = || world.service.send_digest(&caller, world.ben, at(FIRST));
    let (a, b, c, d) = tokio::join!(run(), run(), run(), run());
    for outcome in [a, b, c, d, run().await] {
        outcome.expect("a run that comes too late is no error");
    }
    world.work().await;
    assert_eq!(world.digests().await.len(), 1);
    // News of the same day waits for the next.
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    world.passes("2026-03-03T22:00:00Z").await;
    assert_eq!(world.digests().await.len(), 1);
    world.passes("2026-03-04T07:00:00Z").await;
    assert_eq!(world.digests().await.len(), 2);
}

#[tokio::test]
async fn news_that_comes_while_the_digest_goes_out_waits_for_the_next() {
    let world = World::with_digest().await;
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    world.clock.set(at(FIRST));
    world
        .service
        .send_digest(&Caller::system(&world.clock, "first"), world.ben, at(FIRST))
        .await
        .expect("sent");
    // As if the unit of this event had been built before: it schedules the digest that is out already.
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    let caller = Caller::system(&world.clock, "again");
    world
        .service
        .send_digest(&caller, world.ben, at(FIRST))
        .await
        .expect("nothing to send");
    assert_eq!(world.digests().await.len(), 1);
    assert_eq!(world.next_digest(world.ben).await.as_deref(), Some("2026-03-04T07:00:00Z"));
    world.passes("2026-03-04T07:00:00Z").await;
    assert_eq!(world.digests().await.len(), 2);
}

#[tokio::test]
async fn a_digest_that_is_late_goes_out_as_soon_as_somebody_runs_it() {
    let world = World::with_digest().await;
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    // Nobody ran anything over the hour, and the relay is the first to wake up.
    world.clock.set(at("2026-03-03T09:30:00Z"));
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    world.work().await;
    let digests = world.digests().await;
    assert_eq!(digests.len(), 1);
    assert_eq!(digests[0].subject, "Daily digest: 2 notifications");
}

#[tokio::test]
async fn what_was_seen_switched_off_or_lost_is_left_out() {
    let world = World::with_digest().await;
    prefer(&world, world.ben, Kind::TaskOverdue, true, false).await;
    let task = world.task(&[world.ben]);
    let overdue = TaskOverdue {
        task: task.clone(),
        due_at: world.clock.now(),
    };
    world.happens(None, &overdue).await;
    assert_eq!(world.next_digest(world.ben).await, None, "not mailed, so not in the digest");
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    let id = world.inbox(world.ben).await[0].id;
    world.service.set_read(&world.caller(world.ben), id, true).await.expect("read");
    world.passes(FIRST).await;
    assert_eq!(world.digests().await, vec![], "all was seen");

    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    world.workspaces.remove_member(world.workspace, world.ben);
    world.passes("2026-03-04T07:00:00Z").await;
    assert_eq!(world.digests().await, vec![], "sec 22: access is asked when it is sent");

    world.workspaces.add_member(world.workspace, world.ben, Role::Collaborator);
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    world.identity.change(world.ben, |ben| ben.active = false);
    world.passes("2026-03-05T07:00:00Z").await;
    assert_eq!(world.digests().await, vec![], "a disabled account");
}

#[tokio::test]
async fn a_mail_without_a_line_in_the_inbox_is_in_the_digest_even_after_all_was_marked_read() {
    let world = World::with_digest().await;
    prefer(&world, world.ben, Kind::TaskCommented, false, true).await;
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    world.service.read_all(&world.caller(world.ben), None, None).await.expect("marked");
    world.passes(FIRST).await;
    assert_eq!(world.digests().await.len(), 1);
}

/// Whichever event of one change comes first, and on whichever channel it is more specific.
#[tokio::test]
async fn one_change_is_one_line() {
    for mention_in_app in [true, false] {
        for mention_first in [true, false] {
            let world = World::with_digest().await;
            prefer(&world, world.ben, Kind::TaskMentioned, mention_in_app, true).await;
            let task = world.task(&[world.ben]);
            let updated = TaskUpdated {
                task: task.clone(),
                changed: vec!["description".to_owned()],
                mentioned_ids: vec![world.ben],
            };
            let assigned = TaskAssigned {
                task,
                added_ids: vec![world.ben],
                removed_ids: vec![],
            };
            if mention_first {
                world.happens(Some(world.ada), &updated).await;
                world.happens(Some(world.ada), &assigned).await;
            } else {
                world.happens(Some(world.ada), &assigned).await;
                world.happens(Some(world.ada), &updated).await;
            }
            world.passes(FIRST).await;
            let digests = world.digests().await;
            assert_eq!(
                digests[0].subject, "Daily digest: 1 notification",
                "{mention_in_app} {mention_first}"
            );
            assert!(digests[0].text.contains("Ada mentioned you in"), "{}", digests[0].text);
        }
    }
}

#[tokio::test]
async fn hour_and_zone_move_a_digest_that_waits_but_make_no_second_one_of_the_day() {
    let world = World::with_digest().await;
    let task = world.task(&[world.ben]);
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    let moved = world
        .set(
            world.ben,
            ChangeSettings {
                email_mode: None,
                digest_hour: Some(18),
            },
        )
        .await;
    assert_eq!(moved.next_digest_at, Some(at("2026-03-02T17:00:00Z")));
    world
        .identity
        .change(world.ben, |ben| ben.time_zone = "America/New_York".to_owned());
    let flown = ProfileUpdated {
        user_id: world.ben,
        name: "Ben".to_owned(),
        time_zone: "America/New_York".to_owned(),
        locale: "en".to_owned(),
    };
    world.happens(None, &flown).await;
    assert_eq!(world.next_digest(world.ben).await.as_deref(), Some("2026-03-02T23:00:00Z"));
    world.passes("2026-03-02T22:59:59Z").await;
    assert_eq!(world.digests().await, vec![]);
    world.passes("2026-03-02T23:00:00Z").await;
    assert_eq!(world.digests().await.len(), 1);
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    let again = world
        .set(
            world.ben,
            ChangeSettings {
                email_mode: None,
                digest_hour: Some(20),
            },
        )
        .await;
    assert_eq!(again.next_digest_at, Some(at("2026-03-04T01:00:00Z")), "the day has had its digest");
}

#[tokio::test]
async fn the_day_without_that_hour_has_its_digest_too() {
    let world = World::with_digest().await;
    world
        .set(
            world.ben,
            ChangeSettings {
                email_mode: None,
                digest_hour: Some(2),
            },
        )
        .await;
    world.clock.set(at("2026-03-28T12:00:00Z"));
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    assert_eq!(world.next_digest(world.ben).await.as_deref(), Some("2026-03-29T01:00:00Z"));
    world.passes("2026-03-29T01:00:00Z").await;
    assert_eq!(world.digests().await.len(), 1);
}

#[tokio::test]
async fn back_to_mails_at_once_what_waits_comes_with_one_last_digest() {
    let world = World::with_digest().await;
    let task = world.task(&[world.ben]);
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    let change = ChangeSettings {
        email_mode: Some(EmailMode::Immediate),
        digest_hour: None,
    };
    let settings = world.set(world.ben, change).await;
    assert_eq!((settings.email_mode, settings.digest_hour), (EmailMode::Immediate, 8));
    assert_eq!(settings.next_digest_at, Some(at(FIRST)));
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    assert_eq!(world.mails().await.len(), 1, "at once");
    world.passes(FIRST).await;
    assert_eq!(world.digests().await[0].subject, "Daily digest: 1 notification");
    world.passes("2026-03-04T07:00:00Z").await;
    assert_eq!(world.mails().await.len(), 2);
}

#[tokio::test]
async fn settings_are_changed_on_the_condition_that_nobody_was_quicker() {
    let world = World::new().await;
    let ben = world.caller(world.ben);
    let hour = |hour| ChangeSettings {
        email_mode: None,
        digest_hour: Some(hour),
    };
    // Also where no row is yet: the defaults have a tag too.
    let defaults = Some(tag(&world.service.settings(&ben).await.expect("settings")));
    for condition in [Some(999), defaults.map(|tag| tag + 1)] {
        let refused = world.service.change_settings(&ben, &if_match(condition), hour(9)).await;
        assert_eq!(refused.expect_err("stale").code, "request.version_mismatch");
    }
    assert_eq!(super::rows(&world.db, "notification_settings").await, 0, "nothing is left of it");
    let changed = world
        .service
        .change_settings(&ben, &if_match(defaults), hour(9))
        .await
        .expect("fits");
    assert_eq!(changed.body.digest_hour, 9);
    assert_eq!(changed.version, Some(tag(&world.service.settings(&ben).await.expect("settings"))));
    let again = world.service.change_settings(&ben, &if_match(defaults), hour(10)).await;
    assert_eq!(again.expect_err("stale").code, "request.version_mismatch");
}

#[tokio::test]
async fn settings_have_defaults_and_limits_and_go_with_the_account() {
    let world = World::new().await;
    let settings = world.service.settings(&world.caller(world.ben)).await.expect("settings");
    assert_eq!((settings.email_mode, settings.digest_hour), (EmailMode::Immediate, 8));
    for hour in [-1, 24, i64::MAX] {
        let change = ChangeSettings {
            email_mode: None,
            digest_hour: Some(hour),
        };
        let error = world
            .service
            .change_settings(&world.caller(world.ben), &no_match(), change)
            .await
            .expect_err("no such hour");
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert_eq!(error.fields[0].pointer, "/digest_hour");
    }
    world.set(world.ben, DAILY_AT_EIGHT).await;
    let hour = world
        .set(
            world.ben,
            ChangeSettings {
                email_mode: None,
                digest_hour: Some(0),
            },
        )
        .await;
    assert_eq!((hour.email_mode, hour.digest_hour), (EmailMode::Daily, 0), "the other stays");
    world
        .happens(Some(world.ada), &comment(&world, &world.task(&[world.ben]), &[]))
        .await;
    let deleted = UserDeactivated {
        user_id: world.ben,
        deleted: true,
        sole_owned_workspaces: None,
    };
    world.happens(None, &deleted).await;
    assert_eq!(super::rows(&world.db, "notification_settings").await, 0);
    world.clock.advance(Duration::from_secs(2 * 86_400));
    world.work().await;
    assert_eq!(world.digests().await, vec![]);
    assert_eq!(super::rows(&world.db, "due_work").await, 0, "no digest is left behind");
}
