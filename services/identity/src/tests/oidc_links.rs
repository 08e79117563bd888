//! Linking and unlinking accounts at providers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use platform::Caller;
use platform::http::IfMatch;
use platform::http::idempotency::IdempotencySlot;
use serde_json::{Value, json};

use super::support::{PASSWORD, World, begin, code, token_of, with_providers};
use crate::model::external_identity::ExternalIdentity;
use crate::service::{Begun, CreateApiKey, Finished, ProfileChange, SignedIn, StepUp};
use crate::store::sessions::Which;

fn ada() -> Value {
    json!({ "sub": "ada-1", "email": "countess@elsewhere.example", "email_verified": false })
}

fn proof(password: &str) -> StepUp {
    StepUp {
        password: Some(password.into()),
        code: None,
    }
}

async fn begin_link(world: &World, signed_in: &SignedIn, provider: &str, proof: &StepUp) -> kernel::Result<Begun> {
    world.service.begin_link(&world.caller(signed_in), begin(provider), proof).await
}

async fn link(world: &World, signed_in: &SignedIn, claims: Value) -> kernel::Result<ExternalIdentity> {
    let begun = begin_link(world, signed_in, "corp", &proof(PASSWORD)).await?;
    let redirect = world.corp.authorize(&begun.authorization_url, claims);
    match world.come_back("corp", &begun, &redirect).await? {
        Finished::Linked(identity) => Ok(identity),
        Finished::SignIn(_) => panic!("it was to be linked"),
    }
}

/// It opens the account to whoever holds it and an answer of the provider.
#[tokio::test]
async fn sec_20_the_flow_of_a_link_is_not_kept_for_an_idempotency_key() {
    let world = World::with(with_providers()).await;
    let me = world.register("ada@example.org").await;
    let slot = Arc::new(IdempotencySlot {
        scope_hash: [1; 32],
        body_hash: [2; 32],
        settled: AtomicBool::new(false),
    });
    let caller = Caller {
        idempotency: Some(Arc::clone(&slot)),
        ..world.caller(&me)
    };
    world.service.begin_link(&caller, begin("corp"), &proof(PASSWORD)).await.unwrap();
    assert!(slot.settled.load(Ordering::Acquire), "nothing is stored after the handler");
}

#[tokio::test]
async fn sec_20_linking_needs_the_person_and_opens_the_account_from_then_on() {
    let world = World::with(with_providers()).await;
    let me = world.register("ada@example.org").await;
    world.mails().await;
    assert_eq!(code(begin_link(&world, &me, "corp", &StepUp::default()).await), "request.invalid");
    assert_eq!(code(begin_link(&world, &me, "corp", &proof("wrong")).await), "request.invalid");
    assert_eq!(
        code(begin_link(&world, &me, "nobody", &proof(PASSWORD)).await),
        "identity.oidc.provider_not_found"
    );
    let linked = link(&world, &me, ada()).await.unwrap();
    assert_eq!(linked.email.as_deref(), Some("countess@elsewhere.example"));
    assert_eq!(world.mails().await[0].subject, "A way to sign in was added");
    assert_eq!(
        world.enter(ada()).await.unwrap().session().user.id,
        me.user.id,
        "although the address is another"
    );
    assert_eq!(link(&world, &me, ada()).await.unwrap().id, linked.id, "twice is once");
    let listed = world.service.list_external_identities(&world.caller(&me)).await.unwrap();
    assert!(listed.len() == 1 && listed[0].last_used_at.is_some());

    let eve = world.register("eve@example.org").await;
    assert_eq!(code(link(&world, &eve, ada()).await), "identity.oidc.linked_elsewhere");
    assert_eq!(
        code(world.service.unlink(&world.caller(&eve), linked.id, &proof(PASSWORD)).await),
        "identity.oidc.not_found"
    );
}

#[tokio::test]
async fn sec_20_a_link_ends_with_the_session_that_began_it() {
    let world = World::with(with_providers()).await;
    let me = world.register("ada@example.org").await;
    let begun = begin_link(&world, &me, "corp", &proof(PASSWORD)).await.unwrap();
    let redirect = world.corp.authorize(&begun.authorization_url, ada());
    let caller = world.caller(&me);
    world
        .service
        .end_and_announce(&caller, me.user.id, Which::One(me.session.id), "sign_out")
        .await
        .unwrap();
    assert_eq!(code(world.come_back("corp", &begun, &redirect).await), "identity.oidc.flow_invalid");

    // Nor does somebody else finish it who is signed in.
    let (me, eve) = (
        world.sign_in("ada@example.org", PASSWORD).await.unwrap(),
        world.register("eve@example.org").await,
    );
    let begun = begin_link(&world, &me, "corp", &proof(PASSWORD)).await.unwrap();
    let redirect = world.corp.authorize(&begun.authorization_url, ada());
    let eve = world.caller(&eve);
    let flow = world.service.open_flow(&eve, "corp", &begun.flow, &redirect.state).await.unwrap();
    let stolen = world.service.finish_flow(&eve, &flow, &super::support::answer(&redirect)).await;
    assert_eq!(code(stolen), "identity.oidc.flow_invalid");
}

#[tokio::test]
async fn sec_20_the_last_way_in_stays_and_old_sign_ins_do_not_do() {
    let world = World::with(with_providers()).await;
    let person = json!({ "sub": "ada-1", "email": "ada@example.org", "email_verified": true });
    let me = world.enter(person.clone()).await.unwrap().session();
    let caller = world.caller(&me);
    let only = world.service.list_external_identities(&caller).await.unwrap().remove(0);
    let nothing = StepUp::default();
    assert_eq!(
        code(world.service.unlink(&caller, only.id, &nothing).await),
        "identity.oidc.last_way_in"
    );
    // A second one; without a password a recent sign-in is enough.
    let begun = begin_link(&world, &me, "evil", &nothing).await.unwrap();
    let redirect = world.evil.authorize(&begun.authorization_url, json!({ "sub": "a" }));
    let Finished::Linked(second) = world.come_back("evil", &begun, &redirect).await.unwrap() else {
        panic!("it was to be linked");
    };
    // At a provider that is configured no longer it opens nothing.
    let mut fewer = with_providers();
    fewer.oidc.providers.remove("evil");
    let node = world.node(fewer);
    assert_eq!(code(node.unlink(&caller, only.id, &nothing).await), "identity.oidc.last_way_in");
    world.service.unlink(&caller, only.id, &nothing).await.unwrap();
    assert_eq!(
        code(world.service.unlink(&caller, second.id, &nothing).await),
        "identity.oidc.last_way_in"
    );
    world.clock.advance(Duration::from_secs(601));
    let late = world.caller(&me);
    assert_eq!(
        code(world.service.unlink(&late, second.id, &nothing).await),
        "identity.sign_in.not_recent"
    );
    assert_eq!(code(begin_link(&world, &me, "corp", &nothing).await), "identity.sign_in.not_recent");
    // With a password it is the last way no longer.
    world.reset_password("ada@example.org", PASSWORD).await;
    let me = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    world.service.unlink(&world.caller(&me), second.id, &proof(PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn sec_20_two_unlinks_at_once_leave_one_way_in() {
    let world = World::with(with_providers()).await;
    let person = json!({ "sub": "ada-1", "email": "ada@example.org", "email_verified": true });
    let me = world.enter(person).await.unwrap().session();
    let nothing = StepUp::default();
    let begun = begin_link(&world, &me, "evil", &nothing).await.unwrap();
    let redirect = world.evil.authorize(&begun.authorization_url, json!({ "sub": "a" }));
    world.come_back("evil", &begun, &redirect).await.unwrap();
    let mut set = tokio::task::JoinSet::new();
    for identity in world.service.list_external_identities(&world.caller(&me)).await.unwrap() {
        let (service, caller) = (world.service.clone(), world.caller(&me));
        set.spawn(async move { service.unlink(&caller, identity.id, &StepUp::default()).await.is_ok() });
    }
    let gone = set.join_all().await.into_iter().filter(|gone| *gone).count();
    assert_eq!(gone, 1);
}

/// Anybody can register an address that is not theirs, and wait there for its owner.
#[tokio::test]
async fn sec_20_the_first_proof_of_an_address_shuts_out_who_had_registered_it() {
    let world = World::with(with_providers()).await;
    let stranger = world.register("ada@example.org").await;
    let caller = world.caller(&stranger);
    link(&world, &stranger, ada()).await.unwrap();
    let key = CreateApiKey {
        name: "Later".into(),
        scopes: vec![kernel::scopes::Scope::TasksRead],
        expires_in_days: None,
        current_password: PASSWORD.into(),
        code: None,
    };
    world.service.create_api_key(&caller, key, |_| ()).await.unwrap();
    let change = ProfileChange {
        email: Some("stranger@example.org".into()),
        current_password: Some(PASSWORD.into()),
        ..ProfileChange::default()
    };
    let no_match = IfMatch::from_headers(&http::HeaderMap::new());
    world.service.change_profile(&caller, change, &no_match, |_| ()).await.unwrap();
    let moving = world.mails().await.into_iter().find(|mail| mail.to == "stranger@example.org");
    let moving = token_of(&moving.expect("a mail with the link"));

    let password = "eighteen dry herons";
    world.reset_password("ada@example.org", password).await;
    let owner = world.sign_in("ada@example.org", password).await.unwrap();
    assert_eq!(owner.user.id, stranger.user.id);
    let me = world.caller(&owner);
    assert!(world.service.list_external_identities(&me).await.unwrap().is_empty());
    assert!(world.service.list_api_keys(&me, 10, None).await.unwrap().items.is_empty());
    assert_eq!(
        code(world.service.verify_email(&world.visitor(), &moving, |_| ()).await),
        "identity.link.invalid"
    );

    // Once proven, a forgotten password takes nothing with it.
    let begun = begin_link(&world, &owner, "corp", &proof(password)).await.unwrap();
    let redirect = world.corp.authorize(&begun.authorization_url, ada());
    world.come_back("corp", &begun, &redirect).await.unwrap();
    world.reset_password("ada@example.org", PASSWORD).await;
    let owner = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    assert_eq!(
        world.service.list_external_identities(&world.caller(&owner)).await.unwrap().len(),
        1
    );
}
