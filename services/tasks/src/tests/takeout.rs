//! What people take with them of what they wrote.

use std::time::Duration;

use platform::takeout::{Subject, Takeout as _};
use serde_json::json;

use super::support::{World, body, if_match, world};

impl World {
    /// The bodies in Ann's file of comments, part by part.
    async fn own_words(&self) -> Vec<String> {
        let (mut words, mut cursor) = (Vec::new(), None);
        loop {
            let part = self.service.part(&self.ann(), Subject::Person, "comments", cursor).await.unwrap();
            words.extend(part.items.iter().filter_map(|item| item["body"].as_str().map(str::to_owned)));
            cursor = part.next_cursor;
            if cursor.is_none() {
                return words;
            }
        }
    }
}

#[tokio::test]
async fn ones_words_on_deleted_tasks_are_given_while_they_can_be_restored() {
    let world = world().await;
    let live = world.create(json!({ "title": "Live" })).await;
    let top = world.create(json!({ "title": "Deleted" })).await;
    let below = world.create(json!({ "title": "Below", "parent_id": top.id })).await;
    for (task, words) in [(&live, "live"), (&top, "deleted"), (&below, "below")] {
        for user in [world.ann, world.owner] {
            world.tick();
            let words = if user == world.ann { words } else { "of another" };
            world
                .service
                .create_comment(&world.caller(user), task.id, body(json!({ "body": words })))
                .await
                .unwrap();
        }
    }
    world.service.delete_task(&world.ann(), top.id, &if_match(None)).await.unwrap();
    assert_eq!(world.own_words().await, ["live", "deleted", "below"]);

    world.clock.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(
        world.own_words().await,
        ["live"],
        "as with every list of deleted tasks, swept or not"
    );
    world.neighbour.private.lock().unwrap().insert(world.project_id);
    assert!(world.own_words().await.is_empty(), "what one may no longer read");
}

#[tokio::test]
async fn comments_on_many_tasks_ask_no_more_than_on_one() {
    let world = world().await;
    let mut counts = Vec::new();
    for _ in 0..2 {
        for _ in 0..5 {
            let task = world.create(json!({ "title": "Task" })).await;
            world
                .service
                .create_comment(&world.ann(), task.id, body(json!({ "body": "words" })))
                .await
                .unwrap();
            world.service.delete_task(&world.ann(), task.id, &if_match(None)).await.unwrap();
        }
        let (words, statements) = platform::db::count_statements(world.own_words()).await;
        counts.push((words.len(), statements));
    }
    assert_eq!((counts[0].0, counts[1].0), (5, 10));
    assert_eq!(counts[0].1, counts[1].1);
}
