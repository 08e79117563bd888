use std::collections::HashSet;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use serde_json::Value;

use super::support::{World, cheap};
use crate::service::{IdentityService, SignedIn};

async fn kids(service: &IdentityService) -> HashSet<String> {
    let keys = service.key_document().await.unwrap().keys;
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn part(token: &str, index: usize) -> Vec<u8> {
    BASE64URL_NOPAD.decode(token.split('.').nth(index).unwrap().as_bytes()).unwrap()
}

fn header(signed_in: &SignedIn) -> Value {
    serde_json::from_slice(&part(&signed_in.access.token, 0)).unwrap()
}

/// Checks the signature with the published key of the token's `kid`.
async fn verifies(service: &IdentityService, token: &str) -> bool {
    let header: Value = serde_json::from_slice(&part(token, 0)).unwrap();
    let keys = service.key_document().await.unwrap().keys;
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else {
        return false;
    };
    let public = BASE64URL_NOPAD.decode(key["x"].as_str().unwrap().as_bytes()).unwrap();
    let public = VerifyingKey::from_bytes(&public.try_into().unwrap()).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&part(token, 2)).unwrap();
    public.verify(signed.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn sec_09_sec_10_access_tokens_say_exactly_what_they_must() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let header = header(&ada);
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("EdDSA"), Some("at+jwt")));
    assert_eq!(header.as_object().unwrap().len(), 3, "alg, typ, kid: no jku, x5u, jwk");
    let claims: Value = serde_json::from_slice(&part(&ada.access.token, 1)).unwrap();
    let now = testkit::FixedClock::START.as_seconds();
    assert_eq!(claims["iss"], "https://guildhall.example.org");
    assert_eq!(claims["aud"], "guildhall");
    assert_eq!(claims["sub"], ada.user.id.to_string());
    assert_eq!(claims["sid"], ada.session.id.to_string());
    assert_eq!((&claims["iat"], &claims["nbf"]), (&now.into(), &now.into()));
    assert_eq!(claims["exp"], now + 900);
    assert!(claims["jti"].is_string());
    assert_eq!(claims.as_object().unwrap().len(), 8, "sec 12: no roles, no address");
    assert!(verifies(&world.service, &ada.access.token).await);
}

#[tokio::test]
async fn sec_11_rotation_signs_nobody_out_and_all_nodes_agree() {
    let world = World::new().await;
    let node = world.node(cheap());
    let before = world.register("ada@example.org").await;
    let first = kids(&world.service).await;
    assert_eq!(first.len(), 2, "current and next");
    assert_eq!(first, kids(&node).await);

    let day = Duration::from_secs(86_400);
    world.clock.advance(day * 29);
    world.service.rotate_keys().await.unwrap();
    assert_eq!(kids(&world.service).await, first, "too early");
    world.clock.advance(day);
    let late = world.register("late@example.org").await;
    assert_eq!(header(&late)["kid"], header(&before)["kid"]);
    let (one, two) = tokio::join!(world.service.rotate_keys(), node.rotate_keys());
    one.and(two).unwrap();
    let second = kids(&world.service).await;
    assert_eq!(second.len(), 3, "previous, current and next");
    assert!(second.is_superset(&first), "what was next is current, what was current verifies on");
    assert_eq!(second, kids(&node).await);
    assert!(verifies(&node, &late.access.token).await);
    let after = world.register("after@example.org").await;
    assert_ne!(header(&after)["kid"], header(&late)["kid"]);
    assert!(
        first.contains(header(&after)["kid"].as_str().unwrap()),
        "verifiers knew it beforehand"
    );

    world.clock.advance(Duration::from_secs(900 + 300));
    world.service.rotate_keys().await.unwrap();
    assert_eq!(kids(&world.service).await.len(), 3, "overlap is at least token life and cache life");
    world.clock.advance(day);
    world.service.rotate_keys().await.unwrap();
    assert_eq!(kids(&world.service).await.len(), 2, "the previous one is gone at last");
}

#[tokio::test]
async fn nodes_that_start_together_make_one_set_of_keys() {
    let world = World::new().await;
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let node = world.node(cheap());
        set.spawn(async move { kids(&node).await });
    }
    let seen: Vec<HashSet<String>> = set.join_all().await;
    assert!(seen.iter().all(|kids| *kids == seen[0]), "{seen:?}");
    assert_eq!(seen[0].len(), 2);
}

#[tokio::test]
async fn sec_11_the_private_key_is_not_in_the_database() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let thief = world.node_with_secret([8; 32]);
    let theirs = kids(&thief).await;
    assert_eq!(
        theirs.len(),
        2,
        "without the installation secret the stored rows sign nothing; new keys are made"
    );
    assert!(
        !verifies(&thief, &ada.access.token).await,
        "what was signed under another secret is believed no longer"
    );
    let refreshed = thief.refresh(&world.visitor(), &ada.refresh).await;
    assert_eq!(super::support::code(refreshed), "identity.refresh.invalid", "nor is a session");
}
