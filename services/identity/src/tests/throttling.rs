use std::time::Duration;

use kernel::ErrorKind;

use super::support::{PASSWORD, World, cheap, code};

const WRONG: &str = "identity.credentials.invalid";
const WAIT: &str = "identity.sign_in.throttled";

#[tokio::test]
async fn sec_07_failures_slow_an_account_down_and_success_forgets_them() {
    let world = World::new().await;
    world.register("ada@example.org").await;
    for _ in 0..5 {
        assert_eq!(code(world.sign_in("ada@example.org", "wrong").await), WRONG);
    }
    let refused = world.sign_in("ada@example.org", PASSWORD).await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_ref()), (ErrorKind::RateLimited, WAIT));
    assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
    for wait in [1, 2, 4, 8] {
        world.clock.advance(Duration::from_secs(wait));
        assert_eq!(code(world.sign_in("ada@example.org", "wrong").await), WRONG, "after {wait} s");
        assert_eq!(code(world.sign_in("ada@example.org", "wrong").await), WAIT, "after {wait} s");
    }
    world.clock.advance(Duration::from_secs(16));
    assert!(world.sign_in("ada@example.org", PASSWORD).await.is_ok(), "never for ever");
    for _ in 0..5 {
        assert_eq!(
            code(world.sign_in("ada@example.org", "wrong").await),
            WRONG,
            "counting starts afresh"
        );
    }
}

#[tokio::test]
async fn sec_07_strangers_cannot_shut_the_owner_out() {
    let world = World::new().await;
    world.register("ada@example.org").await;
    for i in 0..20 {
        let attacker = world.visitor_from(&format!("198.51.100.{i}"));
        let _ = world.service.sign_in(&attacker, "ada@example.org", &"wrong".into()).await;
    }
    let elsewhere = world.visitor_from("203.0.113.5");
    let refused = world.service.sign_in(&elsewhere, "ada@example.org", &PASSWORD.into()).await;
    assert_eq!(code(refused), WAIT, "from an address nobody knows");
    assert!(
        world.sign_in("ada@example.org", PASSWORD).await.is_ok(),
        "from where the owner has been before"
    );
}

#[tokio::test]
async fn sec_07_a_reset_by_mail_clears_the_way() {
    let world = World::new().await;
    world.register("ada@example.org").await;
    world.mails().await;
    for _ in 0..5 {
        let _ = world.sign_in("ada@example.org", "wrong").await;
    }
    assert_eq!(code(world.sign_in("ada@example.org", PASSWORD).await), WAIT);
    world.service.forgot_password(&world.visitor(), "ada@example.org").await.unwrap();
    let token = world.mailed_token("ada@example.org").await;
    let (visitor, password) = (world.visitor(), "eighteen dry herons".into());
    world.service.reset_password_by_mail(&visitor, &token, &password).await.unwrap();
    assert!(world.sign_in("ada@example.org", "eighteen dry herons").await.is_ok());
}

#[tokio::test]
async fn sec_07_parallel_guesses_are_all_counted() {
    let world = World::new().await;
    world.register("ada@example.org").await;
    let mut set = tokio::task::JoinSet::new();
    for i in 0..40 {
        let (service, caller) = (world.service.clone(), world.visitor_from(&format!("198.51.100.{i}")));
        set.spawn(async move { service.sign_in(&caller, "ada@example.org", &"wrong".into()).await });
    }
    let codes: Vec<String> = set.join_all().await.into_iter().map(code).collect();
    let checked = codes.iter().filter(|code| *code == WRONG).count();
    assert!(
        (1..=5).contains(&checked),
        "{checked} of 40 parallel guesses were checked: {codes:?}"
    );
}

#[tokio::test]
async fn sec_07_an_address_is_slowed_down_over_many_accounts() {
    let mut config = cheap();
    config.throttle.ip_free_failures = 6;
    let world = World::with(config).await;
    for i in 0..6 {
        let _ = world.sign_in(&format!("user{i}@example.org"), "wrong").await;
    }
    assert_eq!(code(world.sign_in("other@example.org", "wrong").await), WAIT);
    let elsewhere = world.visitor_from("203.0.113.5");
    assert_eq!(
        code(world.service.sign_in(&elsewhere, "other@example.org", &"wrong".into()).await),
        WRONG
    );
}

#[tokio::test]
async fn sec_07_the_process_as_a_whole_has_a_limit() {
    let mut config = cheap();
    config.throttle.global_per_minute = 3;
    let world = World::with(config).await;
    let mut codes = Vec::new();
    for i in 0..4 {
        let caller = world.visitor_from(&format!("198.51.100.{i}"));
        codes.push(code(
            world
                .service
                .sign_in(&caller, &format!("user{i}@example.org"), &"wrong".into())
                .await,
        ));
    }
    assert_eq!(codes, [WRONG, WRONG, WRONG, WAIT]);
}

#[tokio::test]
async fn sec_07_the_count_survives_a_transaction_that_is_rolled_back() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let caller = world.visitor();
    for _ in 0..5 {
        let attempt = world.service.admit(&caller, "ada@example.org").await.unwrap();
        // The same request's main unit would forget the failures, but fails as a whole.
        let mut unit = platform::db::Unit::new(&caller);
        attempt.succeed(&mut unit);
        let never = platform::db::Guard::conflict("test.never", "never");
        crate::store::users::require_other_admin(&mut unit, ada.user.id, never);
        assert!(world.db.apply(unit).await.is_err());
    }
    assert_eq!(code(world.sign_in("ada@example.org", PASSWORD).await), WAIT);
}

#[tokio::test]
async fn sec_06_a_throttled_known_account_looks_like_an_unknown_one() {
    let world = World::new().await;
    world.register("known@example.org").await;
    for email in ["known@example.org", "unknown@example.org"] {
        let stranger = world.visitor_from("203.0.113.9");
        let mut seen = Vec::new();
        for _ in 0..7 {
            let error = world.service.sign_in(&stranger, email, &"wrong".into()).await.unwrap_err();
            seen.push((error.kind, error.code.to_string(), error.detail.to_string(), error.retry_after));
        }
        let expected_codes = [WRONG, WRONG, WRONG, WRONG, WRONG, WAIT, WAIT];
        assert!(seen.iter().map(|(_, code, ..)| code).eq(expected_codes), "{email}: {seen:?}");
        assert_eq!(seen[5].3, Some(Duration::from_secs(1)));
    }
}
