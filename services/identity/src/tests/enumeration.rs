use std::time::{Duration, Instant};

use kernel::Result;
use platform::db::count_statements;

use super::support::{World, cheap, registration, token_of};
use crate::Config;
use crate::config::EmailVerification;

/// Dear enough that skipping the hash would show, cheap enough for hundreds of tries.
fn measurable() -> Config {
    let mut config = Config {
        email_verification: EmailVerification::Required,
        ..cheap()
    };
    config.password.argon2_memory_kib = 4_096;
    config.throttle.account_free_failures = 50;
    config.throttle.ip_free_failures = 1_000_000;
    config
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// Interleaved tries, so that whatever else the machine does hits both alike. The ratio of the medians tells whether an
/// observer can; the bound is wide enough for a busy machine and far from what a skipped hash or a skipped write makes.
fn assert_alike(what: &str, known: Vec<Duration>, unknown: Vec<Duration>) {
    assert!(known.len() + unknown.len() >= 200);
    let (known, unknown) = (median(known), median(unknown));
    let ratio = known / unknown;
    assert!(
        (0.67..1.5).contains(&ratio),
        "{what}: known {known:.6} s, unknown {unknown:.6} s, ratio {ratio:.2}"
    );
}

async fn timed<T>(call: impl Future<Output = Result<T>>) -> (Duration, String) {
    let started = Instant::now();
    let answer = match call.await {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{error} {:?} {:?}", error.kind, error.retry_after),
    };
    (started.elapsed(), answer)
}

#[tokio::test]
async fn sec_06_sign_in_takes_as_long_for_unknown_addresses() {
    let world = World::with(measurable()).await;
    for i in 0..4 {
        world
            .service
            .register(&world.visitor(), registration(&format!("known{i}@example.org")))
            .await
            .unwrap();
    }
    let _warm_up = world.sign_in("nobody@example.org", "wrong").await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for i in 0..120 {
        let (time, answer) = timed(world.sign_in(&format!("known{}@example.org", i % 4), "wrong password")).await;
        known.push(time);
        let (time, other) = timed(world.sign_in(&format!("unknown{}@example.org", i % 4), "wrong password")).await;
        unknown.push(time);
        assert_eq!(answer, other);
    }
    assert_alike("sign-in", known, unknown);
}

#[tokio::test]
async fn sec_06_register_forgot_and_resend_answer_alike() {
    let world = World::with(measurable()).await;
    let visitor = world.visitor();
    world.service.register(&visitor, registration("known@example.org")).await.unwrap();
    let token = world.mailed_token("known@example.org").await;
    world.service.verify_email(&visitor, &token, |_| ()).await.unwrap();
    let service = &world.service;

    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for i in 0..100 {
        let (time, answer) = timed(service.register(&visitor, registration("known@example.org"))).await;
        known.push(time);
        let (time, other) = timed(service.register(&visitor, registration(&format!("new{i}@example.org")))).await;
        unknown.push(time);
        assert_eq!(answer, other);
    }
    assert_alike("register", known, unknown);

    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let (time, answer) = timed(service.forgot_password(&visitor, "known@example.org")).await;
        known.push(time);
        let (time, other) = timed(service.forgot_password(&visitor, "unknown@example.org")).await;
        unknown.push(time);
        assert_eq!(answer, other);
        let (_, answer) = timed(service.resend_verification(&visitor, "known@example.org")).await;
        let (_, other) = timed(service.resend_verification(&visitor, "unknown@example.org")).await;
        assert_eq!(answer, other);
    }
    assert_alike("forgot", known, unknown);
}

/// Where each statement is a round trip, one more shows.
#[tokio::test]
async fn sec_06_registering_asks_as_much_of_the_database_whoever_has_the_address() {
    let world = World::with(measurable()).await;
    let visitor = world.visitor();
    let register = async |email: &str| {
        let (answer, statements) = count_statements(world.service.register(&visitor, registration(email))).await;
        answer.unwrap();
        statements
    };
    let new = register("known@example.org").await;
    assert_eq!(register("known@example.org").await, new, "known, but not proven");
    // The second registration was answered with a link to choose a password.
    let mails = world.mails().await;
    let choose = mails.iter().find(|mail| mail.text.contains("/account/reset-password?"));
    let token = token_of(choose.expect("a mail"));
    world
        .service
        .reset_password_by_mail(&visitor, &token, &super::support::PASSWORD.into())
        .await
        .unwrap();
    assert_eq!(register("known@example.org").await, new, "known and proven");
}
