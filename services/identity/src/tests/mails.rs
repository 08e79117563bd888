use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::support::{Column, World, token_of};

#[tokio::test]
async fn asking_again_at_once_does_not_flood_a_mailbox() {
    let world = World::new().await;
    world.register("ada@example.org").await;
    world.mails().await;
    for _ in 0..5 {
        world.service.forgot_password(&world.visitor(), "ada@example.org").await.unwrap();
        world
            .service
            .resend_verification(&world.visitor(), "ada@example.org")
            .await
            .unwrap();
        world.service.forgot_password(&world.visitor(), "nobody@example.org").await.unwrap();
    }
    assert_eq!(world.mails().await.len(), 1, "the verification of a moment ago is not sent again");
    world.service.forgot_password(&world.visitor(), "ada@example.org").await.unwrap();
    assert!(world.mails().await.is_empty());
    world.clock.advance(Duration::from_secs(61));
    world.service.forgot_password(&world.visitor(), "ada@example.org").await.unwrap();
    world
        .service
        .resend_verification(&world.visitor(), "ada@example.org")
        .await
        .unwrap();
    assert_eq!(world.mails().await.len(), 2);
}

#[tokio::test]
async fn a_mail_that_could_not_be_sent_is_sent_later_with_the_same_link() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    world.outgoing.broken.store(true, Ordering::SeqCst);
    assert!(world.mails().await.is_empty());
    let purpose = crate::store::mail_tokens::Purpose::VerifyEmail;
    let stored = crate::store::mail_tokens::find_latest(&world.db, ada.user.id, purpose)
        .await
        .unwrap()
        .unwrap();
    world.outgoing.broken.store(false, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(3_600));
    let mails = world.mails().await;
    assert_eq!(mails.len(), 1);
    let token = token_of(&mails[0]);
    assert_eq!(world.service.keyring.fingerprint(&token), stored.hash);
    world.service.verify_email(&world.visitor(), &token, |_| ()).await.unwrap();
}

#[tokio::test]
async fn sec_16_no_token_lies_in_the_database_in_clear() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let query = sea_query::Query::select().column("payload").from("due_work").take();
    let scheduled: Vec<Column<String>> = world.db.all(query).await.unwrap();
    assert_eq!(scheduled.len(), 1);
    let token = world.mailed_token("ada@example.org").await;
    let body = token.expose_secret().trim_start_matches("ghv_");
    assert!(!scheduled[0].0.contains(body), "the scheduled mail carries a nonce, not the token");
    assert!(body.len() * 6 >= 128, "at least 128 bit");
    let purpose = crate::store::mail_tokens::Purpose::VerifyEmail;
    let stored = crate::store::mail_tokens::find_latest(&world.db, ada.user.id, purpose)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.hash, world.service.keyring.fingerprint(&token), "a keyed hash only");
}
