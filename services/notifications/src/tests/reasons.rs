//! Several reasons for one person: a switch that is off hides only its own.

use contracts::tasks::events::{TaskAssigned, TaskCreated, TaskUpdated};
use kernel::ids::UserId;

use super::World;
use super::news::{comment, prefer};
use crate::model::Kind;

/// Kinds in Ben's inbox, and the subjects of his mails.
async fn got(world: &World) -> (Vec<&'static str>, Vec<String>) {
    let mails = world.mails().await.into_iter().filter(|mail| mail.to == "ben@example.com");
    (world.kinds(world.ben).await, mails.map(|mail| mail.subject).collect())
}

fn mentioning(world: &World, mentioned: &[UserId], assignees: &[UserId]) -> TaskCreated {
    TaskCreated {
        mentioned_ids: mentioned.to_vec(),
        import_id: None,
        ..world.created(assignees)
    }
}

const MENTIONED: &str = "Ada mentioned you in ABC-12 Fix the login";
const ASSIGNED: &str = "Ada assigned ABC-12 Fix the login to you";

/// All sixteen combinations of the two switches on the two channels; the second event of the same change brings nothing.
#[tokio::test]
async fn each_channel_tells_the_most_specific_reason_left_on() {
    for bits in 0..16_u8 {
        let [mention_in_app, mention_email, assigned_in_app, assigned_email] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        let world = World::new().await;
        prefer(&world, world.ben, Kind::TaskMentioned, mention_in_app, mention_email).await;
        prefer(&world, world.ben, Kind::TaskAssigned, assigned_in_app, assigned_email).await;
        let created = mentioning(&world, &[world.ben], &[world.ben]);
        world.happens(Some(world.ada), &created).await;
        let expected = |mention: bool, assigned: bool, texts: [&'static str; 2]| -> Vec<&'static str> {
            let [mentioned, given] = texts;
            mention.then_some(mentioned).or(assigned.then_some(given)).into_iter().collect()
        };
        let inbox = expected(mention_in_app, assigned_in_app, ["task.mentioned", "task.assigned"]);
        let mails = expected(mention_email, assigned_email, [MENTIONED, ASSIGNED]);
        let wanted = (inbox, mails.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(got(&world).await, wanted, "{bits:04b}");

        let assigned = TaskAssigned {
            task: created.task,
            added_ids: vec![world.ben],
            removed_ids: vec![],
        };
        world.happens(Some(world.ada), &assigned).await;
        assert_eq!(got(&world).await, wanted, "{bits:04b}, told of the assignment again");
        assert_eq!(world.announced().await, wanted.0.len());
    }
}

/// The same when the two reasons come with two events of one change, in either order.
#[tokio::test]
async fn two_events_of_one_change_are_told_per_channel() {
    for bits in 0..16_u8 {
        let [mention_in_app, mention_email, assigned_in_app, assigned_email] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        for mention_first in [true, false] {
            let world = World::new().await;
            prefer(&world, world.ben, Kind::TaskMentioned, mention_in_app, mention_email).await;
            prefer(&world, world.ben, Kind::TaskAssigned, assigned_in_app, assigned_email).await;
            prefer(&world, world.ben, Kind::TaskUpdated, false, false).await;
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
            let (inbox, mails) = got(&world).await;
            let kind = mention_in_app
                .then_some("task.mentioned")
                .or(assigned_in_app.then_some("task.assigned"));
            assert_eq!(inbox, kind.into_iter().collect::<Vec<_>>(), "{bits:04b} {mention_first}");
            // A mail that waits is replaced by the more specific one of the same change.
            let subject = mention_email.then_some(MENTIONED).or(assigned_email.then_some(ASSIGNED));
            assert_eq!(mails, subject.into_iter().collect::<Vec<_>>(), "{bits:04b} {mention_first}");
        }
    }
}

#[tokio::test]
async fn a_comment_that_mentions_its_assignee_is_a_comment_to_who_switched_mentions_off() {
    let world = World::new().await;
    prefer(&world, world.ben, Kind::TaskMentioned, false, false).await;
    let task = world.task(&[world.ben]);
    world.happens(Some(world.ada), &comment(&world, &task, &[world.ben])).await;
    let (inbox, mails) = got(&world).await;
    assert_eq!(inbox, vec!["task.commented"]);
    assert_eq!(mails, vec!["Ada commented on ABC-12 Fix the login"]);
}

#[tokio::test]
async fn what_was_dismissed_does_not_come_back_for_a_weaker_reason() {
    let world = World::new().await;
    let created = mentioning(&world, &[world.ben], &[]);
    world.happens(Some(world.ada), &created).await;
    let id = world.inbox(world.ben).await[0].id;
    world.service.dismiss(&world.caller(world.ben), id).await.expect("dismissed");
    let assigned = TaskAssigned {
        task: created.task,
        added_ids: vec![world.ben],
        removed_ids: vec![],
    };
    world.happens(Some(world.ada), &assigned).await;
    assert_eq!(world.inbox(world.ben).await, vec![]);
    assert_eq!(world.mails().await.len(), 1, "the mention's");
}
