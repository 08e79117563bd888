//! Calendar feeds.

use platform::db::{FromRow, Row};
use sea_query::Query;
use serde_json::{Value, json};

use super::support::{World, body, code, field_codes, if_match, world};
use crate::view::NewFeedView;

async fn feed(world: &World, who: kernel::ids::UserId, command: Value) -> NewFeedView {
    world.tick();
    world.service.create_feed(&world.caller(who), body(command)).await.unwrap().body
}

fn token(feed: &NewFeedView) -> &str {
    feed.path.rsplit('/').next().unwrap()
}

/// The summaries of the events, in their order.
async fn summaries(world: &World, token: &str) -> Vec<String> {
    let calendar = world.service.render_feed(token).await.unwrap();
    calendar
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("SUMMARY:"))
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[tokio::test]
async fn a_feed_shows_what_its_owner_can_see_and_has_to_do() {
    let world = world().await;
    let due = |title: &str, at: &str, who: &[kernel::ids::UserId]| json!({"title": title, "due_date": at, "assignee_ids": who});
    let mine = world.create(due("Later", "2100-02-01", &[world.ann])).await;
    world.create(due("Sooner; really", "2100-01-01", &[world.ann, world.owner])).await;
    world.create(due("Not mine", "2100-01-01", &[world.owner])).await;
    world.create(json!({"title": "Not due", "assignee_ids": [world.ann]})).await;
    world.create(due("Long gone", "2000-01-01", &[world.ann])).await;
    let feed_of_ann = feed(&world, world.ann, json!({"name": "Mine"})).await;
    let secret = token(&feed_of_ann).to_owned();
    assert_eq!(summaries(&world, &secret).await, ["ABC-2 Sooner\\; really", "ABC-1 Later"]);
    let all = feed(&world, world.viewer, json!({"name": "All", "query": "q=not"})).await;
    assert_eq!(summaries(&world, token(&all)).await, ["ABC-3 Not mine"]);

    let before = world.service.render_feed(&secret).await.unwrap();
    assert_eq!(world.service.render_feed(&secret).await.unwrap().tag, before.tag);
    assert!(before.text.contains(&format!("UID:{}@guildhall\r\n", mine.id)));
    world.patch(mine.id, json!({"due_date": "2100-03-01"})).await.unwrap();
    let after = world.service.render_feed(&secret).await.unwrap();
    assert_ne!(after.tag, before.tag);
    assert!(after.text.contains("DTSTART;VALUE=DATE:21000301"));
    world
        .service
        .complete_task(&world.ann(), mine.id, &if_match(None), true)
        .await
        .unwrap();
    assert_eq!(summaries(&world, &secret).await.len(), 1);

    // Who leaves sees nothing, whoever is locked out has no feed.
    world.neighbour.members.lock().unwrap().remove(&(world.workspace_id, world.ann));
    assert_eq!(summaries(&world, &secret).await, Vec::<String>::new());
    world.neighbour.inactive.lock().unwrap().push(world.ann);
    assert_eq!(code(world.service.render_feed(&secret).await), "tasks.feed.not_found");
}

/// A link that lasts is worth a line in its owner's security log; a deletion of nothing is none.
#[tokio::test]
async fn making_and_revoking_a_feed_is_recorded_for_its_owner() {
    let world = world().await;
    let made = feed(&world, world.ann, json!({"name": "Mine", "query": "q=paint"})).await;
    let foreign = world.service.delete_feed(&world.caller(world.owner), made.feed.id).await;
    assert_eq!(code(foreign), "tasks.feed.not_found");
    world.service.delete_feed(&world.ann(), made.feed.id).await.unwrap();
    let again = world.service.delete_feed(&world.ann(), made.feed.id).await;
    assert_eq!(code(again), "tasks.feed.not_found");
    let events = world.events().await;
    let actions: Vec<&str> = events.iter().filter_map(|(_, data)| data["action"].as_str()).collect();
    assert_eq!(actions, ["calendar_feed.created", "calendar_feed.deleted"]);
    for (_, data) in &events {
        assert_eq!(data["log"], json!({"kind": "account", "id": world.ann}));
        assert_eq!(data["target"], json!({"kind": "calendar_feed", "id": made.feed.id, "name": "Mine"}));
        assert!(!data.to_string().contains(token(&made)));
    }
}

#[tokio::test]
async fn a_feed_is_secret_bounded_and_dies_when_it_is_revoked() {
    struct Text(String);
    impl FromRow for Text {
        fn from_row(row: &Row<'_>) -> Result<Self, platform::db::DbError> {
            row.get(0).map(Self)
        }
    }
    let world = world().await;
    let made = feed(&world, world.ann, json!({"name": "Mine"})).await;
    let stored = Query::select().column("token_hash").from("task_feeds").take();
    let stored = world.db().one::<Text>(stored).await.unwrap().0;
    assert!(stored.len() == 64 && !stored.contains(token(&made)));
    let listed = world.service.list_feeds(&world.ann()).await.unwrap();
    assert!(!serde_json::to_string(&listed).unwrap().contains(token(&made)));
    assert!(world.service.list_feeds(&world.caller(world.owner)).await.unwrap().items.is_empty());
    for wrong in ["", "x", &"A".repeat(43)] {
        assert_eq!(code(world.service.render_feed(wrong).await), "tasks.feed.not_found");
    }
    let foreign = world.service.delete_feed(&world.caller(world.owner), made.feed.id).await;
    assert_eq!(code(foreign), "tasks.feed.not_found");
    world.service.delete_feed(&world.ann(), made.feed.id).await.unwrap();
    assert_eq!(code(world.service.render_feed(token(&made)).await), "tasks.feed.not_found");
    let refused = world
        .service
        .create_feed(&world.ann(), body(json!({"name": "a\nb", "query": "status=closed"})))
        .await;
    assert_eq!(field_codes(refused), ["/name control_character", "/query invalid_query"]);
    for i in 0..20 {
        feed(&world, world.ann, json!({ "name": i.to_string() })).await;
    }
    let more = world.service.create_feed(&world.ann(), body(json!({"name": "x"}))).await;
    assert_eq!(code(more), "tasks.feed.too_many");
}
