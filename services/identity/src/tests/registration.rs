use kernel::ErrorKind;
use secrecy::SecretString;

use super::support::{PASSWORD, World, cheap, code, registration, token_of};
use crate::config::{EmailVerification, Registration};
use crate::service::{Registered, SetUp};
use crate::{Config, store};

fn required() -> Config {
    Config {
        email_verification: EmailVerification::Required,
        ..cheap()
    }
}

#[tokio::test]
async fn registration_signs_in_and_mails_a_link() {
    let world = World::new().await;
    let ada = world.register(" Ada@Example.org ").await;
    assert_eq!(ada.user.email.as_deref(), Some("ada@example.org"));
    assert!(!ada.user.email_verified && !ada.user.instance_admin);
    assert!(world.is_live(&ada).await);
    let token = world.mailed_token("ada@example.org").await;
    let verified = world
        .service
        .verify_email(&world.visitor(), &token, |user| user.email_verified)
        .await;
    assert!(verified.unwrap().body);
    assert!(world.user(&ada).await.email_verified);
    let again = world.service.verify_email(&world.visitor(), &token, |_| ()).await;
    assert_eq!(again.unwrap_err().kind, ErrorKind::Gone, "once only");
}

#[tokio::test]
async fn a_taken_address_is_a_conflict_whatever_its_case() {
    let world = World::new().await;
    world.register("ada@example.org").await;
    let error = world
        .service
        .register(&world.visitor(), registration("ADA@example.ORG"))
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Conflict, "identity.email.taken"));
    assert_eq!(error.fields[0].pointer, "/email");
}

#[tokio::test]
async fn two_registrations_at_once_make_one_account() {
    let world = World::new().await;
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (service, caller) = (world.service.clone(), world.visitor());
        set.spawn(async move { service.register(&caller, registration("ada@example.org")).await });
    }
    let codes: Vec<String> = set.join_all().await.into_iter().map(code).collect();
    assert_eq!(codes.iter().filter(|code| *code == "ok").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "identity.email.taken").count(), 7, "{codes:?}");
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let world = World::new().await;
    let mut command = registration("nobody");
    command.password = "short".into();
    command.name = " ".to_owned();
    command.time_zone = Some("Mars/Olympus".to_owned());
    command.locale = Some("??".to_owned());
    let error = world.service.register(&world.visitor(), command).await.unwrap_err();
    let mut pointers: Vec<_> = error.fields.iter().map(|field| field.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/email", "/locale", "/name", "/password", "/time_zone"]);
}

#[tokio::test]
async fn sec_06_required_verification_answers_alike_and_hides_behind_the_mail() {
    let world = World::with(required()).await;
    let answer = world
        .service
        .register(&world.visitor(), registration("ada@example.org"))
        .await
        .unwrap();
    assert!(matches!(answer, Registered::MailSent));
    assert_eq!(code(world.sign_in("ada@example.org", PASSWORD).await), "identity.email.unverified");
    assert_eq!(
        code(world.sign_in("ada@example.org", "wrong").await),
        "identity.credentials.invalid"
    );
    let token = world.mailed_token("ada@example.org").await;
    world.service.verify_email(&world.visitor(), &token, |_| ()).await.unwrap();
    let ada = world.sign_in("ada@example.org", PASSWORD).await.unwrap();

    let answer = world
        .service
        .register(&world.visitor(), registration("ada@example.org"))
        .await
        .unwrap();
    assert!(matches!(answer, Registered::MailSent), "a known address answers the same");
    let mails = world.mails().await;
    assert_eq!(mails.len(), 1);
    assert!(mails[0].subject.contains("already") && !mails[0].text.contains("token="));
    assert!(world.is_live(&ada).await, "and nothing happened to the account");
}

/// Whoever comes first or last: a link never seals a password that its reader did not choose.
#[tokio::test]
async fn an_unproven_account_cannot_be_planted_for_somebody_else() {
    for attacker_first in [true, false] {
        let world = World::with(required()).await;
        let mut planted = registration("victim@example.org");
        planted.password = "the attacker knows this one".into();
        let honest = registration("victim@example.org");
        let order = if attacker_first { [planted, honest] } else { [honest, planted] };
        for registration in order {
            let answer = world.service.register(&world.visitor(), registration).await.unwrap();
            assert!(matches!(answer, Registered::MailSent), "both are answered alike");
        }
        for password in ["the attacker knows this one", PASSWORD] {
            assert_eq!(
                code(world.sign_in("victim@example.org", password).await),
                "identity.credentials.invalid"
            );
        }
        let mails = world.mails().await;
        let token = token_of(mails.iter().find(|mail| mail.text.contains("reset-password")).unwrap());
        world
            .service
            .reset_password_by_mail(&world.visitor(), &token, &"only the owner chose this".into())
            .await
            .unwrap();
        let theirs = world.sign_in("victim@example.org", "the attacker knows this one").await;
        assert_eq!(code(theirs), "identity.credentials.invalid");
        assert!(world.sign_in("victim@example.org", "only the owner chose this").await.is_ok());
    }
}

#[tokio::test]
async fn closed_and_invited_registration_refuse_strangers() {
    for (setting, expected) in [
        (Registration::Closed, "identity.registration.closed"),
        (Registration::Invite, "identity.registration.invitation_required"),
    ] {
        let world = World::with(Config {
            registration: setting,
            ..cheap()
        })
        .await;
        let plain = world.service.register(&world.visitor(), registration("ada@example.org")).await;
        assert_eq!(code(plain), expected);
        let mut invited = registration("ada@example.org");
        invited.invitation_token = Some("not a real one".into());
        assert_eq!(code(world.service.register(&world.visitor(), invited).await), expected);
    }
}

#[tokio::test]
async fn sec_26_no_default_account_only_a_one_time_code() {
    let world = World::with(Config {
        registration: Registration::Closed,
        ..cheap()
    })
    .await;
    let code_text = world.service.ensure_setup_code().await.unwrap().expect("nobody is there yet");
    assert_eq!(
        world.node(cheap()).ensure_setup_code().await.unwrap(),
        Some(code_text.clone()),
        "replicas agree"
    );
    let set_up = |code: &str| SetUp {
        code: SecretString::from(code),
        account: registration("root@example.org"),
    };
    let wrong = world
        .service
        .set_up(&world.visitor(), set_up("AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A"))
        .await;
    assert_eq!(code(wrong), "identity.setup.code_invalid");
    let root = world
        .service
        .set_up(&world.visitor(), set_up(&code_text.to_lowercase().replace('-', " ")))
        .await
        .unwrap();
    assert!(root.user.instance_admin && root.user.email_verified);
    let mut second = set_up(&code_text);
    second.account = registration("other@example.org");
    assert_eq!(code(world.service.set_up(&world.visitor(), second).await), "identity.setup.done");
    assert_eq!(world.service.ensure_setup_code().await.unwrap(), None);
    let stored = store::setup::find(&world.db).await.unwrap().unwrap();
    assert!(
        !String::from_utf8_lossy(&stored.nonce).contains(&code_text),
        "the code itself is nowhere"
    );
}

#[tokio::test]
async fn one_code_makes_one_administrator() {
    let world = World::new().await;
    let text = world.service.ensure_setup_code().await.unwrap().unwrap();
    let mut set = tokio::task::JoinSet::new();
    for i in 0..4 {
        let (service, caller, text) = (world.service.clone(), world.visitor(), text.clone());
        set.spawn(async move {
            let command = SetUp {
                code: text.into(),
                account: registration(&format!("root{i}@example.org")),
            };
            service.set_up(&caller, command).await
        });
    }
    let made = set.join_all().await.into_iter().flatten().count();
    assert_eq!(made, 1);
}
