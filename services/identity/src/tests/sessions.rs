use contracts::identity::{FindUserByEmail, GetUsers, Identity};
use kernel::ErrorKind;
use kernel::ids::SessionId;
use platform::signals::Signal;

use super::support::{PASSWORD, World, code, unknown_id};
use crate::service::{ChangePassword, SignedIn};

async fn refuses_everything(world: &World, signed_in: &SignedIn) -> bool {
    let refreshed = world.service.refresh(&world.visitor(), &signed_in.refresh).await;
    !world.is_live(signed_in).await && code(refreshed) == "identity.refresh.invalid"
}

#[tokio::test]
async fn sec_14_sign_out_ends_this_session_at_once_and_no_other() {
    let world = World::new().await;
    let phone = world.register("ada@example.org").await;
    let laptop = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let mut signals = world.service.toolkit.signals.subscribe();
    world.service.sign_out(&world.caller(&phone)).await.unwrap();
    assert_eq!(signals.try_recv(), Ok(Signal::SessionsChanged(phone.user.id)));
    assert!(refuses_everything(&world, &phone).await);
    assert!(world.is_live(&laptop).await);
    world.service.sign_out_by_token(&world.visitor(), &laptop.refresh).await.unwrap();
    assert!(refuses_everything(&world, &laptop).await);
    world
        .service
        .sign_out_by_token(&world.visitor(), &"ghr_unknown".into())
        .await
        .unwrap();
}

#[tokio::test]
async fn sec_14_sign_out_everywhere() {
    let world = World::new().await;
    let phone = world.register("ada@example.org").await;
    let laptop = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let stranger = world.register("bob@example.org").await;
    world.service.sign_out_all(&world.caller(&phone)).await.unwrap();
    assert!(refuses_everything(&world, &phone).await && refuses_everything(&world, &laptop).await);
    assert!(world.is_live(&stranger).await);
}

#[tokio::test]
async fn sec_14_disable_delete_and_lock_end_every_session() {
    for what in ["disable", "delete", "lock"] {
        let world = World::new().await;
        let root = world.admin("root@example.org").await;
        let ada = world.register("ada@example.org").await;
        match what {
            "disable" => world.service.disable_me(&world.caller(&ada), &PASSWORD.into(), None).await.unwrap(),
            "delete" => world
                .service
                .delete_me(&world.caller(&ada), &PASSWORD.into(), None, None)
                .await
                .unwrap(),
            _ => world.service.lock(&world.caller(&root), ada.user.id).await.unwrap(),
        }
        assert!(refuses_everything(&world, &ada).await, "{what}");
        let again = world.sign_in("ada@example.org", PASSWORD).await;
        assert_eq!(code(again), "identity.credentials.invalid", "{what}");
        assert_eq!(code(world.service.get_me(&world.caller(&ada)).await), "auth.required");
    }
}

#[tokio::test]
async fn sec_14_own_sessions_are_listed_and_ended() {
    let world = World::new().await;
    let phone = world.register("ada@example.org").await;
    let laptop = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let bob = world.register("bob@example.org").await;
    let me = world.caller(&phone);

    let first = world.service.list_sessions(&me, 1, None).await.unwrap();
    let second = world.service.list_sessions(&me, 1, first.next_cursor.as_deref()).await.unwrap();
    assert_eq!(second.next_cursor, None);
    let mut listed = [first.items[0].id, second.items[0].id];
    let mut expected = [phone.session.id, laptop.session.id];
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let stolen = world
        .service
        .list_sessions(&world.caller(&bob), 1, first.next_cursor.as_deref())
        .await;
    assert_eq!(stolen.unwrap_err().kind, ErrorKind::Malformed, "a cursor belongs to its person");

    let foreign = world.service.end_session(&me, bob.session.id).await;
    assert_eq!(code(foreign), "identity.session.not_found");
    let unknown = world.service.end_session(&me, unknown_id::<SessionId>()).await;
    assert_eq!(code(unknown), "identity.session.not_found");
    assert!(world.is_live(&bob).await);
    world.service.end_session(&me, laptop.session.id).await.unwrap();
    assert!(refuses_everything(&world, &laptop).await);
    assert_eq!(
        code(world.service.end_session(&me, laptop.session.id).await),
        "identity.session.not_found"
    );
}

#[tokio::test]
async fn sec_05_change_needs_the_current_password_ends_the_others_and_tells_by_mail() {
    let world = World::new().await;
    let phone = world.register("ada@example.org").await;
    let laptop = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    world.mails().await;
    let change = |current: &str, new: &str| ChangePassword {
        current_password: current.into(),
        new_password: new.into(),
        code: None,
        end_other_sessions: true,
    };
    let me = world.caller(&phone);
    let wrong = world
        .service
        .change_password(&me, change("wrong", "eighteen dry herons"))
        .await
        .unwrap_err();
    assert_eq!(
        (wrong.kind, wrong.fields[0].pointer.as_str()),
        (ErrorKind::Invalid, "/current_password")
    );
    let weak = world.service.change_password(&me, change(PASSWORD, "password")).await.unwrap_err();
    assert_eq!(weak.fields[0].pointer, "/new_password");
    assert!(world.is_live(&laptop).await);

    world
        .service
        .change_password(&me, change(PASSWORD, "eighteen dry herons"))
        .await
        .unwrap();
    assert!(world.is_live(&phone).await, "the one that asked stays");
    assert!(refuses_everything(&world, &laptop).await);
    assert_eq!(
        code(world.sign_in("ada@example.org", PASSWORD).await),
        "identity.credentials.invalid"
    );
    assert!(world.sign_in("ada@example.org", "eighteen dry herons").await.is_ok());
    let mails = world.mails().await;
    assert_eq!(mails.len(), 1);
    assert!(mails[0].subject.contains("password was changed"));
}

#[tokio::test]
async fn deleting_erases_personal_data_and_frees_the_address() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    world
        .service
        .delete_me(&world.caller(&ada), &PASSWORD.into(), None, None)
        .await
        .unwrap();
    let row = world.user(&ada).await;
    assert_eq!((row.email, row.password_hash, row.pending_email), (None, None, None));
    assert!(!row.name.contains("Ada"));
    let session = crate::store::sessions::find(&world.db, ada.user.id, ada.session.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((session.ip.as_str(), session.user_agent.as_str()), ("", ""));
    let context = world.visitor().call();
    let summary = world
        .service
        .get_users(&context, GetUsers { ids: vec![ada.user.id] })
        .await
        .unwrap();
    assert!(!summary[0].active && summary[0].email.is_empty());
    let request = FindUserByEmail {
        email: "ada@example.org".to_owned(),
    };
    assert_eq!(world.service.find_user_by_email(&context, request).await.unwrap(), None);
    let newcomer = world.register("ada@example.org").await;
    assert_ne!(newcomer.user.id, ada.user.id);
}

#[tokio::test]
async fn old_sessions_are_swept_with_their_tokens() {
    let world = World::new().await;
    let ended = world.register("ada@example.org").await;
    world.service.sign_out(&world.caller(&ended)).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(6 * 86_400));
    world.service.clean_up().await.unwrap();
    let hash = world.service.keyring.fingerprint(&ended.refresh);
    assert!(
        crate::store::sessions::find_by_token(&world.db, &hash).await.unwrap().is_some(),
        "kept for a week, so that a replay is seen"
    );
    world.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    let kept = world.register("bob@example.org").await;
    world.service.clean_up().await.unwrap();
    assert!(crate::store::sessions::find_by_token(&world.db, &hash).await.unwrap().is_none());
    assert!(world.is_live(&kept).await);
}
