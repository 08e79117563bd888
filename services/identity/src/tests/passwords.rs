use std::time::Duration;

use kernel::ErrorKind;
use secrecy::SecretString;

use super::support::{PASSWORD, World, cheap, code};

const NEW: &str = "eighteen dry herons";

async fn forgot(world: &World) -> SecretString {
    world.service.forgot_password(&world.visitor(), "Ada@example.org").await.unwrap();
    world.mailed_token("ada@example.org").await
}

async fn reset(world: &World, token: &SecretString) -> kernel::Result<()> {
    world.service.reset_password_by_mail(&world.visitor(), token, &NEW.into()).await
}

#[tokio::test]
async fn sec_14_a_reset_ends_every_session_and_works_once() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    world.mails().await;
    let token = forgot(&world).await;
    let weak = world
        .service
        .reset_password_by_mail(&world.visitor(), &token, &"password".into())
        .await;
    assert_eq!(weak.unwrap_err().kind, ErrorKind::Invalid);
    reset(&world, &token).await.expect("a refused password does not use the link up");
    assert!(!world.is_live(&ada).await);
    assert_eq!(
        code(world.service.refresh(&world.visitor(), &ada.refresh).await),
        "identity.refresh.invalid"
    );
    assert_eq!(code(reset(&world, &token).await), "identity.link.invalid");
    assert!(world.sign_in("ada@example.org", NEW).await.is_ok());
    assert!(world.user(&ada).await.email_verified, "the mail proved the address");
}

#[tokio::test]
async fn sec_16_links_expire_and_only_the_newest_works() {
    let world = World::new().await;
    world.register("ada@example.org").await;
    world.mails().await;
    let old = forgot(&world).await;
    world.clock.advance(Duration::from_secs(61));
    let newer = forgot(&world).await;
    assert_eq!(code(reset(&world, &old).await), "identity.link.invalid");
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(code(reset(&world, &newer).await), "identity.link.invalid", "an hour is over");
}

#[tokio::test]
async fn sec_16_one_kind_of_token_is_not_taken_for_another() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let verify = world.mailed_token("ada@example.org").await;
    assert_eq!(code(reset(&world, &verify).await), "identity.link.invalid");
    assert_eq!(code(reset(&world, &ada.refresh).await), "identity.link.invalid");
    let token = forgot(&world).await;
    assert_eq!(
        code(world.service.verify_email(&world.visitor(), &token, |_| ()).await),
        "identity.link.invalid"
    );
    assert_eq!(
        code(world.service.refresh(&world.visitor(), &token).await),
        "identity.refresh.invalid"
    );
}

#[tokio::test]
async fn sec_16_a_link_is_bound_to_its_address() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    world.mails().await;
    let reset_link = forgot(&world).await;
    let change = crate::service::ProfileChange {
        email: Some("new@example.org".to_owned()),
        current_password: Some(PASSWORD.into()),
        ..Default::default()
    };
    let no_match = platform::http::IfMatch::from_headers(&http::HeaderMap::new());
    world
        .service
        .change_profile(&world.caller(&ada), change, &no_match, |_| ())
        .await
        .unwrap();
    assert_eq!(
        world.user(&ada).await.email.as_deref(),
        Some("ada@example.org"),
        "not before it is proven"
    );
    let proof = world.mailed_token("new@example.org").await;
    world.service.verify_email(&world.visitor(), &proof, |_| ()).await.unwrap();
    assert_eq!(world.user(&ada).await.email.as_deref(), Some("new@example.org"));
    assert_eq!(
        code(reset(&world, &reset_link).await),
        "identity.link.invalid",
        "went to the old address"
    );
    let told = world.mails().await;
    assert!(
        told.iter()
            .any(|mail| mail.to == "ada@example.org" && mail.subject.contains("changed"))
    );
}

#[tokio::test]
async fn sec_16_parallel_use_of_one_link_works_once() {
    let world = World::new().await;
    world.register("ada@example.org").await;
    world.mails().await;
    let token = forgot(&world).await;
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (service, caller, token) = (world.service.clone(), world.visitor(), token.clone());
        set.spawn(async move { service.reset_password_by_mail(&caller, &token, &NEW.into()).await });
    }
    assert_eq!(set.join_all().await.into_iter().flatten().count(), 1);
}

#[tokio::test]
async fn a_disabled_account_comes_back_by_reset_and_a_locked_one_does_not() {
    let world = World::new().await;
    let root = world.admin("root@example.org").await;
    let ada = world.register("ada@example.org").await;
    world.mails().await;
    world.service.disable_me(&world.caller(&ada), &PASSWORD.into(), None).await.unwrap();
    world.mails().await;
    let token = forgot(&world).await;
    reset(&world, &token).await.unwrap();
    assert!(world.sign_in("ada@example.org", NEW).await.is_ok());

    world.clock.advance(Duration::from_secs(61));
    let token = {
        world.mails().await;
        forgot(&world).await
    };
    world.service.lock(&world.caller(&root), ada.user.id).await.unwrap();
    assert_eq!(code(reset(&world, &token).await), "identity.link.invalid");
    world.mails().await;
    world.service.forgot_password(&world.visitor(), "ada@example.org").await.unwrap();
    assert!(world.mails().await.is_empty(), "no link for a locked account");
}

#[tokio::test]
async fn sec_04_hashes_follow_the_parameters_at_sign_in() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let before = world.user(&ada).await;
    assert!(before.password_hash.as_deref().unwrap().contains("m=64,t=1"));
    let mut stronger = cheap();
    stronger.password.argon2_memory_kib = 128;
    let node = world.node(stronger);
    node.sign_in(&world.visitor(), "ada@example.org", &PASSWORD.into()).await.unwrap();
    let after = world.user(&ada).await;
    assert!(after.password_hash.as_deref().unwrap().contains("m=128,t=1"));
    assert_eq!(after.version, before.version, "nothing that people see changed");
    assert!(world.is_live(&ada).await);
    assert!(node.sign_in(&world.visitor(), "ada@example.org", &PASSWORD.into()).await.is_ok());
}
