use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::support::{Column, World, cheap, code};
use crate::service::SignedIn;

fn text(signed_in: &SignedIn) -> String {
    signed_in.refresh.expose_secret().to_owned()
}

async fn refresh(world: &World, token: &SecretString) -> kernel::Result<SignedIn> {
    world.service.refresh(&world.visitor(), token).await
}

#[tokio::test]
async fn sec_13_fifty_parallel_refreshes_leave_one_live_chain() {
    let world = World::new().await;
    let first = world.register("ada@example.org").await;
    // Two nodes on one database, 25 calls each.
    let nodes = [world.node(cheap()), world.node(cheap())];
    let calls = (0..50).map(|i| {
        let (node, caller, token) = (nodes[i % 2].clone(), world.visitor(), first.refresh.clone());
        async move { node.refresh(&caller, &token).await }
    });
    let mut children = std::collections::BTreeSet::new();
    for result in futures(calls).await {
        children.insert(text(&result.expect("every one of the fifty gets an answer")));
    }
    assert_eq!(children.len(), 1, "and it is the same child");
    let child = SecretString::from(children.into_iter().next().unwrap());
    refresh(&world, &child).await.expect("the child lives");
    assert!(world.is_live(&first).await);
}

#[tokio::test]
async fn sec_13_a_lost_answer_can_be_asked_for_again_within_ten_seconds() {
    let world = World::new().await;
    let first = world.register("ada@example.org").await;
    let child = refresh(&world, &first.refresh).await.unwrap();
    world.clock.advance(Duration::from_secs(10));
    let again = world.node(cheap()).refresh(&world.visitor(), &first.refresh).await.unwrap();
    assert_eq!(text(&again), text(&child), "another node gives the same child");
    let grandchild = refresh(&world, &child.refresh).await.unwrap();
    assert_ne!(text(&grandchild), text(&child));
}

#[tokio::test]
async fn sec_13_replay_after_the_grace_kills_the_newest_child_too() {
    let world = World::new().await;
    let first = world.register("ada@example.org").await;
    let child = refresh(&world, &first.refresh).await.unwrap();
    world.clock.advance(Duration::from_millis(10_001));
    assert_eq!(code(refresh(&world, &first.refresh).await), "identity.refresh.invalid");
    assert_eq!(code(refresh(&world, &child.refresh).await), "identity.refresh.invalid");
    assert!(!world.is_live(&first).await, "the access token is dead as well");
}

#[tokio::test]
async fn sec_13_replay_of_a_grandparent_kills_the_family_even_within_the_grace() {
    let world = World::new().await;
    let first = world.register("ada@example.org").await;
    let other_device = world.sign_in("ada@example.org", super::support::PASSWORD).await.unwrap();
    let child = refresh(&world, &first.refresh).await.unwrap();
    let grandchild = refresh(&world, &child.refresh).await.unwrap();
    assert_eq!(code(refresh(&world, &first.refresh).await), "identity.refresh.invalid");
    assert_eq!(code(refresh(&world, &grandchild.refresh).await), "identity.refresh.invalid");
    assert!(refresh(&world, &other_device.refresh).await.is_ok(), "other families live on");
}

#[tokio::test]
async fn sec_13_sessions_expire_idle_and_absolutely() {
    let world = World::new().await;
    let day = Duration::from_secs(86_400);
    let idle = world.register("idle@example.org").await;
    let mut busy = world.register("busy@example.org").await;
    for _ in 0..3 {
        world.clock.advance(day * 9);
        busy = refresh(&world, &busy.refresh).await.expect("used every nine days");
    }
    assert_eq!(
        code(refresh(&world, &idle.refresh).await),
        "identity.refresh.invalid",
        "idle for 27 days"
    );
    assert!(!world.is_live(&idle).await);
    world.clock.advance(day * 3);
    assert_eq!(
        code(refresh(&world, &busy.refresh).await),
        "identity.refresh.invalid",
        "30 days are over"
    );
}

#[tokio::test]
async fn sec_13_only_hashes_are_stored() {
    let world = World::new().await;
    let first = world.register("ada@example.org").await;
    refresh(&world, &first.refresh).await.unwrap();
    let query = sea_query::Query::select().column("token_hash").from("refresh_tokens").take();
    let rows: Vec<Column<Vec<u8>>> = world.db.all(query).await.unwrap();
    assert_eq!(rows.len(), 2);
    let token = text(&first);
    let expected = world.service.keyring.fingerprint(&first.refresh);
    assert!(rows.iter().any(|row| row.0 == expected));
    assert!(
        rows.iter()
            .all(|row| row.0.len() == 32 && !token.as_bytes().windows(32).any(|part| part == row.0))
    );
}

#[tokio::test]
async fn unknown_and_oversized_tokens_are_refused() {
    let world = World::new().await;
    for token in ["", "ghr_", "ghr_AAAA", &"x".repeat(5_000)] {
        assert_eq!(code(refresh(&world, &token.into()).await), "identity.refresh.invalid");
    }
}

/// Runs all at once on the test's threads.
async fn futures<T: Send + 'static>(calls: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let mut set = tokio::task::JoinSet::new();
    for call in calls {
        set.spawn(call);
    }
    set.join_all().await
}
