use std::time::Duration;

use contracts::identity::{ApiKeyState, CheckApiKey};
use kernel::scopes::Scope;
use kernel::{Actor, api_key};
use platform::http::IfMatch;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::support::{Column, PASSWORD, World, code};
use crate::model::api_key::ApiKey;
use crate::service::{CreateApiKey, SignedIn};
use crate::store;

const DAY: Duration = Duration::from_secs(86_400);

fn command(name: &str) -> CreateApiKey {
    CreateApiKey {
        name: name.to_owned(),
        scopes: vec![Scope::TasksRead, Scope::TasksRead, Scope::ProjectsWrite],
        expires_in_days: Some(30),
        current_password: PASSWORD.into(),
        code: None,
    }
}

async fn make(world: &World, ada: &SignedIn, name: &str) -> (ApiKey, String) {
    let me = world.caller(ada);
    let (reply, text) = world.service.create_api_key(&me, command(name), |key| key.id).await.unwrap();
    let key = world.service.get_api_key(&me, reply.body).await.unwrap();
    (key, text.expose_secret().to_owned())
}

fn presented(text: &str) -> CheckApiKey {
    let (key_id, secret) = api_key::parse(text).expect("a key");
    CheckApiKey {
        key_id,
        secret_hash: Sha256::digest(secret).into(),
    }
}

async fn state(world: &World, text: &str) -> Option<ApiKeyState> {
    world.service.api_key_state(&presented(text)).await.unwrap()
}

#[tokio::test]
async fn sec_17_a_key_is_shown_once_hashed_at_rest_scoped_and_expires() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let (key, text) = make(&world, &ada, "Report").await;
    let good = state(&world, &text).await.expect("good");
    assert_eq!(
        (good.user_id, good.expires_at),
        (ada.user.id, world.user(&ada).await.created_at.plus(DAY * 30))
    );
    assert_eq!(good.scopes.iter().collect::<Vec<_>>(), [Scope::ProjectsWrite, Scope::TasksRead]);

    let (_, secret) = api_key::parse(&text).unwrap();
    let query = sea_query::Query::select().column("secret_hash").from("api_keys").take();
    let rows: Vec<Column<Vec<u8>>> = world.db.all(query).await.unwrap();
    assert_eq!(rows[0].0, Sha256::digest(secret).to_vec());

    // Another secret under the same id, and another id with the same secret.
    let mut wrong = presented(&text);
    wrong.secret_hash[0] ^= 1;
    assert_eq!(world.service.api_key_state(&wrong).await.unwrap(), None);
    let other = CheckApiKey {
        key_id: super::support::unknown_id(),
        ..presented(&text)
    };
    assert_eq!(world.service.api_key_state(&other).await.unwrap(), None);

    world.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    assert!(state(&world, &text).await.is_some());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(state(&world, &text).await, None, "expired");
    let ada = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let me = world.caller(&ada);
    assert_eq!(world.service.list_api_keys(&me, 50, None).await.unwrap().items.len(), 1, "in sight");
    world.clock.advance(DAY * 31);
    world.service.clean_up().await.unwrap();
    assert_eq!(code(world.service.get_api_key(&me, key.id).await), "identity.api_key.not_found");
}

#[tokio::test]
async fn sec_17_revoking_and_the_end_of_the_owner_stop_a_key() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let bob = world.register("bob@example.org").await;
    let (key, text) = make(&world, &ada, "Report").await;
    let theirs = world.service.revoke_api_key(&world.caller(&bob), key.id).await;
    assert_eq!(code(theirs), "identity.api_key.not_found", "somebody else's");
    world.service.revoke_api_key(&world.caller(&ada), key.id).await.unwrap();
    assert_eq!(state(&world, &text).await, None);
    assert_eq!(
        code(world.service.revoke_api_key(&world.caller(&ada), key.id).await),
        "identity.api_key.not_found"
    );

    let (_, text) = make(&world, &ada, "Second").await;
    world.service.lock_user("ada@example.org").await.unwrap();
    assert_eq!(state(&world, &text).await, None, "locked");
    world.service.unlock_user("ada@example.org").await.unwrap();
    assert!(state(&world, &text).await.is_some());
    let ada = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    world
        .service
        .delete_me(&world.caller(&ada), &PASSWORD.into(), None, None)
        .await
        .unwrap();
    assert_eq!(state(&world, &text).await, None);
    let left: Vec<Column<String>> = {
        let query = sea_query::Query::select().column("name").from("api_keys").take();
        world.db.all(query).await.unwrap()
    };
    assert!(left.is_empty(), "nothing of a deleted person is left");
}

#[tokio::test]
async fn sec_17_making_a_key_needs_a_session_and_the_password() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let me = world.caller(&ada);
    let wrong = CreateApiKey {
        current_password: "not this one".into(),
        ..command("Report")
    };
    assert_eq!(code(world.service.create_api_key(&me, wrong, |_| ()).await), "request.invalid");
    let (key, _) = make(&world, &ada, "Report").await;
    let program = platform::Caller {
        actor: Actor::ApiKey {
            user_id: ada.user.id,
            key_id: key.id,
        },
        ..me.clone()
    };
    assert_eq!(
        code(world.service.create_api_key(&program, command("Another"), |_| ()).await),
        "auth.api_key_refused"
    );
    let bad = CreateApiKey {
        name: "x".repeat(101),
        scopes: Vec::new(),
        expires_in_days: Some(367),
        ..command("")
    };
    let error = world.service.create_api_key(&me, bad, |_| ()).await.map(|_| ()).unwrap_err();
    let pointers: Vec<_> = error.fields.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/name", "/scopes", "/expires_in_days"]);
    for number in 1..50 {
        make(&world, &ada, &format!("Key {number}")).await;
    }
    assert_eq!(
        code(world.service.create_api_key(&me, command("One more"), |_| ()).await),
        "identity.api_key.too_many"
    );
}

#[tokio::test]
async fn keys_are_renamed_paged_and_their_use_is_noted_once_a_minute() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let me = world.caller(&ada);
    let mut made = Vec::new();
    for number in 0..3 {
        world.clock.advance(Duration::from_secs(1));
        made.push(make(&world, &ada, &format!("Key {number}")).await);
    }
    let any = IfMatch::from_headers(&http::HeaderMap::new());
    let renamed = world
        .service
        .rename_api_key(&me, made[0].0.id, " Weekly ", &any, |key| key.name.clone())
        .await
        .unwrap();
    assert_eq!((renamed.body.as_str(), renamed.version), ("Weekly", Some(2)));
    let first = world.service.list_api_keys(&me, 2, None).await.unwrap();
    let second = world.service.list_api_keys(&me, 2, first.next_cursor.as_deref()).await.unwrap();
    let names: Vec<_> = first.items.iter().chain(&second.items).map(|key| key.name.as_str()).collect();
    assert_eq!((names, second.next_cursor), (vec!["Key 2", "Key 1", "Weekly"], None));

    let used = async || {
        let key = store::api_keys::find(&world.db, ada.user.id, made[1].0.id).await.unwrap().unwrap();
        (key.last_used_at, key.version)
    };
    let mut wrong = presented(&made[1].1);
    wrong.secret_hash[0] ^= 1;
    assert_eq!(world.service.api_key_state(&wrong).await.unwrap(), None);
    assert_eq!(used().await, (None, 1), "not used by whoever does not have it");
    let at = world.service.toolkit.clock.now();
    state(&world, &made[1].1).await.expect("good");
    assert_eq!(used().await, (Some(at), 1), "at once: the process may end at any time");
    world.clock.advance(Duration::from_secs(59));
    state(&world, &made[1].1).await.expect("good");
    assert_eq!(used().await, (Some(at), 1), "not with every request");
    world.clock.advance(Duration::from_secs(1));
    state(&world, &made[1].1).await.expect("good");
    assert_eq!(used().await, (Some(world.service.toolkit.clock.now()), 1));
}

#[tokio::test]
async fn sec_17_the_owner_is_told_of_a_key_and_warned_before_it_expires() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    world.mails().await;
    let (_, text) = make(&world, &ada, "Report").await;
    let (revoked, _) = make(&world, &ada, "Revoked").await;
    let told = world.mails().await;
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|mail| mail.subject == "An API key was made" && !mail.text.contains(&text))
    );
    world.service.revoke_api_key(&world.caller(&ada), revoked.id).await.unwrap();
    world.clock.advance(Duration::from_secs(23 * 86_400 - 1));
    assert!(world.mails().await.is_empty(), "too early");
    world.clock.advance(Duration::from_secs(1));
    let warned = world.mails().await;
    assert_eq!(warned.len(), 1, "not for the revoked one");
    assert_eq!(
        (warned[0].subject.as_str(), warned[0].to.as_str()),
        ("An API key expires soon", "ada@example.org")
    );
    assert!(warned[0].text.contains("\"Report\""));

    // Of a short life the last half.
    let ada = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let short = CreateApiKey {
        expires_in_days: Some(2),
        ..command("Short")
    };
    world.service.create_api_key(&world.caller(&ada), short, |_| ()).await.unwrap();
    assert_eq!(world.mails().await.len(), 1, "that it was made");
    world.clock.advance(DAY);
    assert_eq!(world.mails().await[0].subject, "An API key expires soon");
}

#[tokio::test]
async fn sec_17_keys_made_at_once_stop_at_the_limit() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    for number in 0..49 {
        make(&world, &ada, &format!("Key {number}")).await;
    }
    let mut set = tokio::task::JoinSet::new();
    for number in 0..3 {
        let (service, me) = (world.service.clone(), world.caller(&ada));
        set.spawn(async move { code(service.create_api_key(&me, command(&format!("At once {number}")), |_| ()).await) });
    }
    let mut answers = set.join_all().await;
    answers.sort();
    let refused = "identity.api_key.too_many";
    assert_eq!(answers, [refused, refused, "ok"]);
}
