use std::time::Duration;

use kernel::Clock;
use secrecy::{ExposeSecret, SecretString};

use super::support::{Column, PASSWORD, World, code};
use crate::model::second_factor::SecondFactor;
use crate::service::{CreateApiKey, SignInStep, SignedIn};
use crate::store;

const STEP: Duration = Duration::from_secs(30);

/// The code that an app shows now.
pub(super) fn app(world: &World, secret: &SecretString) -> SecretString {
    let seed = data_encoding::BASE32_NOPAD.decode(secret.expose_secret().as_bytes()).unwrap();
    let totp = totp_rs::TOTP::new(totp_rs::Algorithm::SHA1, 6, 0, 30, seed, None, String::new()).unwrap();
    totp.generate(u64::try_from(world.clock.now().as_seconds()).unwrap()).into()
}

struct Enrolled {
    ada: SignedIn,
    secret: SecretString,
    recovery: Vec<SecretString>,
}

async fn enrolled(world: &World) -> Enrolled {
    let ada = world.register("ada@example.org").await;
    let me = world.caller(&ada);
    let enrolment = world.service.enrol(&me, &PASSWORD.into()).await.unwrap();
    let recovery = world
        .service
        .confirm_second_factor(&me, &app(world, &enrolment.secret))
        .await
        .unwrap();
    // The next code is another one.
    world.clock.advance(STEP);
    Enrolled {
        ada,
        secret: enrolment.secret,
        recovery,
    }
}

async fn first_step(world: &World) -> SecretString {
    let step = world
        .service
        .sign_in(&world.visitor(), "ada@example.org", &PASSWORD.into())
        .await
        .unwrap();
    match step {
        SignInStep::SecondFactor(token) => token,
        SignInStep::SignedIn(_) => panic!("signed in without the second factor"),
    }
}

async fn second_step(world: &World, token: &SecretString, code: &SecretString) -> kernel::Result<SignedIn> {
    world.service.finish_challenge(&world.visitor(), token, code).await
}

#[tokio::test]
async fn sec_18_sign_in_takes_two_steps_and_each_code_works_once() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let token = first_step(&world).await;
    let now = app(&world, &person.secret);
    let signed_in = second_step(&world, &token, &now).await.unwrap();
    assert!(world.is_live(&signed_in).await);
    assert_eq!(
        code(second_step(&world, &token, &now).await),
        "identity.second_factor.challenge_invalid",
        "the first step is used up"
    );
    let token = first_step(&world).await;
    assert_eq!(
        code(second_step(&world, &token, &now).await),
        "identity.second_factor.code_wrong",
        "seen over the shoulder"
    );
    world.clock.advance(STEP);
    second_step(&world, &token, &app(&world, &person.secret)).await.unwrap();
}

#[tokio::test]
async fn sec_18_parallel_use_of_one_code_opens_one_session() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let now = app(&world, &person.secret);
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (service, visitor, token, now) = (world.service.clone(), world.visitor(), first_step(&world).await, now.clone());
        set.spawn(async move { service.finish_challenge(&visitor, &token, &now).await.is_ok() });
    }
    let opened = set.join_all().await.into_iter().filter(|opened| *opened).count();
    assert_eq!(opened, 1);
}

#[tokio::test]
async fn sec_18_turning_it_on_ends_other_sessions_and_is_told_by_mail() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let laptop = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let me = world.caller(&ada);
    world.mails().await;
    assert_eq!(code(world.service.enrol(&me, &"wrong".into()).await), "request.invalid");
    assert_eq!(
        code(world.service.confirm_second_factor(&me, &"123456".into()).await),
        "identity.second_factor.not_begun"
    );
    let stale = world.service.enrol(&me, &PASSWORD.into()).await.unwrap();
    let enrolment = world.service.enrol(&me, &PASSWORD.into()).await.unwrap();
    assert!(
        world.sign_in("ada@example.org", PASSWORD).await.is_ok(),
        "not asked for before it is confirmed"
    );
    assert_eq!(
        code(world.service.confirm_second_factor(&me, &app(&world, &stale.secret)).await),
        "request.invalid"
    );
    let recovery = world
        .service
        .confirm_second_factor(&me, &app(&world, &enrolment.secret))
        .await
        .unwrap();
    assert_eq!(recovery.len(), 10);
    assert!(world.is_live(&ada).await && !world.is_live(&laptop).await);
    assert_eq!(world.mails().await[0].subject, "A second factor was turned on");
    assert_eq!(code(world.service.enrol(&me, &PASSWORD.into()).await), "identity.second_factor.on");
    let state = world.service.second_factor_state(&me).await.unwrap();
    assert_eq!((state.since, state.recovery_codes_left), (Some(world.clock.now()), 10));
}

#[tokio::test]
async fn sec_18_recovery_codes_are_hashed_work_once_and_are_replaced() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let query = sea_query::Query::select().column("code_hash").from("recovery_codes").take();
    let rows: Vec<Column<Vec<u8>>> = world.db.all(query).await.unwrap();
    assert!(rows.len() == 10 && rows.iter().all(|row| row.0.len() == 32));
    let typed = SecretString::from(person.recovery[0].expose_secret().to_lowercase());
    let token = first_step(&world).await;
    second_step(&world, &token, &typed).await.unwrap();
    let token = first_step(&world).await;
    assert_eq!(
        code(second_step(&world, &token, &typed).await),
        "identity.second_factor.code_wrong",
        "used"
    );
    let me = world.caller(&person.ada);
    let fresh = world
        .service
        .renew_recovery_codes(&me, &PASSWORD.into(), &app(&world, &person.secret))
        .await
        .unwrap();
    assert_eq!(
        code(second_step(&world, &token, &person.recovery[1]).await),
        "identity.second_factor.code_wrong"
    );
    second_step(&world, &token, &fresh[0]).await.unwrap();
    assert_eq!(world.service.second_factor_state(&me).await.unwrap().recovery_codes_left, 9);
}

#[tokio::test]
async fn sec_18_guessing_codes_ends_the_attempt_and_slows_down() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let token = first_step(&world).await;
    for _ in 0..5 {
        assert_eq!(
            code(second_step(&world, &token, &"000000".into()).await),
            "identity.second_factor.code_wrong"
        );
    }
    assert_eq!(
        code(second_step(&world, &token, &"000000".into()).await),
        "identity.sign_in.throttled"
    );
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(
        code(second_step(&world, &token, &app(&world, &person.secret)).await),
        "identity.second_factor.challenge_invalid",
        "even with the right code"
    );
    world.clock.advance(Duration::from_secs(60));
    let token = first_step(&world).await;
    world.clock.advance(crate::service::CHALLENGE_LIFE);
    assert_eq!(
        code(second_step(&world, &token, &app(&world, &person.secret)).await),
        "identity.second_factor.challenge_invalid",
        "too late"
    );
    for token in ["", "ghm_x", &"x".repeat(5_000)] {
        assert_eq!(
            code(second_step(&world, &token.into(), &"000000".into()).await),
            "identity.second_factor.challenge_invalid"
        );
    }
}

#[tokio::test]
async fn sec_18_wrong_recovery_codes_of_a_signed_in_person_slow_down_as_well() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let off = async |code: &SecretString| {
        let me = world.caller(&person.ada);
        world.service.disable_second_factor(&me, &PASSWORD.into(), code).await
    };
    let wrong = SecretString::from("AAAA-BBBB-CCCC-DDDD");
    for _ in 0..5 {
        assert_eq!(off(&wrong).await.unwrap_err().fields[0].code, "wrong_code");
    }
    assert_eq!(
        code(off(&person.recovery[0]).await),
        "identity.sign_in.throttled",
        "even the right one"
    );
    world.clock.advance(Duration::from_secs(2));
    off(&person.recovery[0]).await.unwrap();
}

#[tokio::test]
async fn sec_18_no_path_leads_round_it() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let me = world.caller(&person.ada);
    let key = |code: Option<SecretString>| CreateApiKey {
        name: "Program".into(),
        scopes: vec![kernel::scopes::Scope::TasksRead],
        expires_in_days: None,
        current_password: PASSWORD.into(),
        code,
    };
    for refused in [None, Some("000000".into())] {
        let answer = world.service.create_api_key(&me, key(refused), |_| ()).await;
        assert_eq!(answer.map(|_| ()).unwrap_err().fields[0].pointer, "/code");
    }
    let good = key(Some(app(&world, &person.secret)));
    assert!(world.service.create_api_key(&me, good, |_| ()).await.is_ok());

    // A reset by mail changes the password and nothing else; a first step under way ends.
    let waiting = first_step(&world).await;
    world.reset_password("ada@example.org", "eighteen dry herons").await;
    world.clock.advance(STEP);
    assert_eq!(
        code(second_step(&world, &waiting, &app(&world, &person.secret)).await),
        "identity.second_factor.challenge_invalid"
    );
    let step = world
        .service
        .sign_in(&world.visitor(), "ada@example.org", &"eighteen dry herons".into())
        .await
        .unwrap();
    assert!(matches!(step, SignInStep::SecondFactor(_)));
}

#[tokio::test]
async fn sec_18_turning_it_off_needs_both_and_operators_can_take_it_away() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let me = world.caller(&person.ada);
    let off = async |password: &str, code: &SecretString| world.service.disable_second_factor(&me, &password.into(), code).await;
    assert_eq!(code(off("wrong", &app(&world, &person.secret)).await), "request.invalid");
    assert_eq!(code(off(PASSWORD, &"000000".into()).await), "request.invalid");
    off(PASSWORD, &app(&world, &person.secret)).await.unwrap();
    assert_eq!(code(off(PASSWORD, &"000000".into()).await), "identity.second_factor.off");
    assert!(world.sign_in("ada@example.org", PASSWORD).await.is_ok());

    let again = world.service.enrol(&me, &PASSWORD.into()).await.unwrap();
    world.service.confirm_second_factor(&me, &app(&world, &again.secret)).await.unwrap();
    world.service.reset_second_factor("Ada@Example.org").await.unwrap();
    assert!(!world.is_live(&person.ada).await, "it may be an attacker who asked");
    assert!(world.sign_in("ada@example.org", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn sec_18_the_seed_is_sealed_and_bound_to_its_person() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let stored = store::second_factors::find(&world.db, person.ada.user.id).await.unwrap().unwrap();
    assert!(stored.sealed_seed.starts_with("v1.") && !stored.sealed_seed.contains(person.secret.expose_secret()));
    let bob = world.register("bob@example.org").await;
    let moved = SecondFactor {
        user_id: bob.user.id,
        confirmed_at: None,
        ..stored
    };
    let mut unit = platform::db::Unit::new(&world.visitor());
    store::second_factors::replace_unconfirmed(&mut unit, &moved);
    world.db.apply(unit).await.unwrap();
    let answer = world
        .service
        .confirm_second_factor(&world.caller(&bob), &app(&world, &person.secret))
        .await;
    assert_eq!(code(answer), "internal", "somebody else's seed does not open");
}
