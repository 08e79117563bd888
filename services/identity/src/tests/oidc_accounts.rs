//! Which account a person of a provider comes into.

use serde_json::{Value, json};

use super::support::{PASSWORD, World, begin, code, registration, with_providers};
use crate::config::{EmailVerification, Registration};
use crate::service::{Begin, Finished, Registered, SignInStep};
use crate::store;

fn person(subject: &str, email: &str, verified: bool) -> Value {
    json!({ "sub": subject, "email": email, "email_verified": verified, "name": "Ada Lovelace", "zoneinfo": "Europe/London" })
}

fn ada() -> Value {
    person("ada-1", "ada@example.org", true)
}

const NOT_VOUCHED_FOR: &str = "identity.oidc.email_unverified";

/// An account with a proven address.
async fn proven(world: &World, email: &str) -> crate::service::SignedIn {
    let signed_in = world.register(email).await;
    let token = world.mailed_token(email).await;
    world.service.verify_email(&world.visitor(), &token, |_| ()).await.unwrap();
    signed_in
}

#[tokio::test]
async fn sec_20_a_person_is_known_by_issuer_and_subject_whatever_becomes_of_the_address() {
    let world = World::with(with_providers()).await;
    let first = world.enter(ada()).await.unwrap().session();
    let user = world.user(&first).await;
    assert!(user.email_verified && user.password_hash.is_none());
    assert_eq!(
        (user.email.as_deref(), user.name.as_str(), user.time_zone.as_str()),
        (Some("ada@example.org"), "Ada Lovelace", "Europe/London")
    );
    let moved = person("ada-1", "countess@example.org", false);
    let again = world.enter(moved).await.unwrap().session();
    assert_eq!(again.user.id, first.user.id, "the same subject");
    assert_eq!(
        again.user.email.as_deref(),
        Some("ada@example.org"),
        "the address is ours to change"
    );
    let namesake = world.enter(person("ada-2", "another@example.org", true)).await.unwrap().session();
    assert_ne!(namesake.user.id, first.user.id);
    // The same subject at another issuer is somebody else.
    let begun = world.begin_at("evil").await.unwrap();
    let redirect = world
        .evil
        .authorize(&begun.authorization_url, person("ada-1", "eve@example.org", true));
    let Finished::SignIn(step) = world.come_back("evil", &begun, &redirect).await.unwrap() else {
        panic!("a sign-in");
    };
    assert_ne!(step.session().user.id, first.user.id);
    assert!(world.mails().await.is_empty(), "nobody needs to prove what the provider has proven");
    assert_eq!(code(world.sign_in("ada@example.org", "").await), "identity.credentials.invalid");
}

#[tokio::test]
async fn sec_20_an_unverified_address_opens_nothing_and_tells_nothing() {
    let world = World::with(with_providers()).await;
    proven(&world, "ada@example.org").await;
    for claims in [
        person("x-1", "ada@example.org", false),
        person("x-2", "nobody@example.org", false),
        json!({ "sub": "x-3", "email": "ada@example.org" }),
        json!({ "sub": "x-4", "email": "ada@example.org", "email_verified": "yes" }),
        json!({ "sub": "x-5", "email_verified": true }),
        json!({ "sub": "x-6", "email": "no address", "email_verified": true }),
    ] {
        assert_eq!(code(world.enter(claims.clone()).await), NOT_VOUCHED_FOR, "{claims}");
    }
    assert!(world.mails().await.is_empty());
}

#[tokio::test]
async fn sec_20_accounts_are_joined_only_where_both_sides_have_proven_the_address() {
    let world = World::with(with_providers()).await;
    let mallory = world.register("ada@example.org").await;
    assert_eq!(code(world.enter(ada()).await), "identity.oidc.link_first", "registered by whomever");
    let token = world.mailed_token("ada@example.org").await;
    world.service.verify_email(&world.visitor(), &token, |_| ()).await.unwrap();
    let joined = world.enter(ada()).await.unwrap().session();
    assert_eq!(joined.user.id, mallory.user.id);
    let mails = world.mails().await;
    assert!(mails.len() == 1 && mails[0].subject == "A way to sign in was added", "{mails:?}");
    assert!(mails[0].text.contains("corp"));
    world.enter(ada()).await.unwrap();
    assert!(world.mails().await.is_empty(), "told once");
}

#[tokio::test]
async fn sec_20_a_provider_that_is_not_believed_about_addresses_needs_a_link() {
    let mut config = with_providers();
    config.oidc.providers.get_mut("corp").unwrap().trust_email = false;
    let world = World::with(config).await;
    proven(&world, "ada@example.org").await;
    assert_eq!(code(world.enter(ada()).await), NOT_VOUCHED_FOR);
    assert_eq!(code(world.enter(person("x", "nobody@example.org", true)).await), NOT_VOUCHED_FOR);
}

#[tokio::test]
async fn the_user_info_endpoint_is_asked_for_what_the_token_leaves_out_and_must_speak_of_the_same_person() {
    let world = World::with(with_providers()).await;
    world.corp.tell_by_userinfo();
    world.corp.userinfo_speaks_of("somebody-else");
    assert_eq!(code(world.enter(ada()).await), "identity.oidc.answer_invalid");
    world.corp.userinfo_speaks_of("ada-1");
    let signed_in = world.enter(ada()).await.unwrap().session();
    assert_eq!(signed_in.user.email.as_deref(), Some("ada@example.org"));
    let asked = world.corp.asked("/me");
    world.enter(ada()).await.unwrap();
    assert_eq!(world.corp.asked("/me"), asked, "of no use for somebody known");
}

#[tokio::test]
async fn registration_is_as_open_as_it_is_for_everybody() {
    let mut config = with_providers();
    config.registration = Registration::Closed;
    let world = World::with(config.clone()).await;
    assert_eq!(code(world.enter(ada()).await), "identity.registration.closed");
    let mut unregistering = with_providers();
    unregistering.oidc.providers.get_mut("corp").unwrap().register = false;
    let world = World::with(unregistering).await;
    assert_eq!(code(world.enter(ada()).await), "identity.registration.closed");

    config.registration = Registration::Invite;
    let world = World::with(config).await;
    world.workspaces.add_invitation("invitation");
    assert_eq!(code(world.enter(ada()).await), "identity.registration.invitation_required");
    let come_with = async |claims: Value, token: &str| {
        let begin = Begin {
            invitation: Some(token.into()),
            ..begin("corp")
        };
        let begun = world.service.begin_sign_in(&world.visitor(), begin).await?;
        let redirect = world.corp.authorize(&begun.authorization_url, claims);
        world.come_back("corp", &begun, &redirect).await
    };
    assert_eq!(code(come_with(ada(), "another").await), "identity.registration.invitation_required");
    come_with(ada(), "invitation").await.unwrap();
    let second = come_with(person("eve", "eve@example.org", true), "invitation").await;
    assert_eq!(code(second), "identity.registration.invitation_required", "one account by one link");
}

#[tokio::test]
async fn sec_20_locked_disabled_and_deleted_accounts_stay_shut() {
    let world = World::with(with_providers()).await;
    let admin = world.admin("root@example.org").await;
    let signed_in = world.enter(ada()).await.unwrap().session();
    world.service.lock(&world.caller(&admin), signed_in.user.id).await.unwrap();
    assert_eq!(code(world.enter(ada()).await), "identity.oidc.account_unavailable");
    // Nor by the address, at another provider.
    let begun = world.begin_at("evil").await.unwrap();
    let redirect = world.evil.authorize(&begun.authorization_url, person("e", "ada@example.org", true));
    assert_eq!(
        code(world.come_back("evil", &begun, &redirect).await),
        "identity.oidc.account_unavailable"
    );
    world.service.unlock(&world.caller(&admin), signed_in.user.id).await.unwrap();
    world.enter(ada()).await.unwrap();

    world.reset_password("ada@example.org", PASSWORD).await;
    let user = world.user(&signed_in).await;
    let me = world.caller(&world.enter(ada()).await.unwrap().session());
    world.service.delete_me(&me, &PASSWORD.into(), None, None).await.unwrap();
    let left = store::external_identities::list(&world.db, user.id).await.unwrap();
    assert!(left.is_empty(), "nothing is left of the link");
    let anew = world.enter(ada()).await.unwrap().session();
    assert_ne!(anew.user.id, user.id);
}

#[tokio::test]
async fn sec_18_sec_20_the_second_factor_is_asked_for_on_the_way_by_a_provider() {
    let world = World::with(with_providers()).await;
    let signed_in = proven(&world, "ada@example.org").await;
    let me = world.caller(&signed_in);
    let enrolment = world.service.enrol(&me, &PASSWORD.into()).await.unwrap();
    let app = super::second_factor::app(&world, &enrolment.secret);
    world.service.confirm_second_factor(&me, &app).await.unwrap();
    world.mails().await;
    for _ in 0..2 {
        // The first time it is also linked.
        let SignInStep::SecondFactor(token) = world.enter(ada()).await.unwrap() else {
            panic!("signed in without the second factor");
        };
        assert_eq!(
            code(world.service.finish_challenge(&world.visitor(), &token, &"000000".into()).await),
            "identity.second_factor.code_wrong"
        );
        world.clock.advance(std::time::Duration::from_secs(30));
        let app = super::second_factor::app(&world, &enrolment.secret);
        let finished = world.service.finish_challenge(&world.visitor(), &token, &app).await.unwrap();
        assert_eq!(finished.user.id, signed_in.user.id);
    }
}

#[tokio::test]
async fn where_addresses_must_be_proven_a_provider_proves_them() {
    let mut config = with_providers();
    config.email_verification = EmailVerification::Required;
    let world = World::with(config).await;
    world.enter(ada()).await.unwrap().session();
    let quiet = world
        .service
        .register(&world.visitor(), registration("ada@example.org"))
        .await
        .unwrap();
    assert!(matches!(quiet, Registered::MailSent));
    assert_eq!(world.mails().await[0].subject, "You have an account already");
}

#[tokio::test]
async fn one_person_in_two_windows_gets_one_account() {
    let world = World::with(with_providers()).await;
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let begun = world.begin_at("corp").await.unwrap();
        let redirect = world.corp.authorize(&begun.authorization_url, ada());
        let (service, visitor) = (world.service.clone(), world.visitor());
        set.spawn(async move {
            let flow = service.open_flow(&visitor, "corp", &begun.flow, &redirect.state).await.unwrap();
            match service.finish_flow(&visitor, &flow, &super::support::answer(&redirect)).await {
                Ok(Finished::SignIn(step)) => step.session().user.id,
                other => panic!("{other:?}"),
            }
        });
    }
    let ids: std::collections::BTreeSet<_> = set.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
}
