use kernel::ErrorKind;
use kernel::ids::UserId;
use secrecy::ExposeSecret;

use super::support::{PASSWORD, World, code, unknown_id};
use crate::CreateUser;
use crate::model::user::UserStatus;
use crate::service::ListUsers;

fn everybody() -> ListUsers {
    ListUsers {
        text: None,
        status: None,
        limit: 50,
        cursor: None,
    }
}

#[tokio::test]
async fn only_administrators_administer() {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let bob = world.register("bob@example.org").await;
    let me = world.caller(&ada);
    let id = bob.user.id;
    let refused = [
        code(world.service.list_users(&me, everybody()).await),
        code(world.service.get_user(&me, id).await),
        code(world.service.lock(&me, id).await),
        code(world.service.unlock(&me, id).await),
        code(world.service.end_sessions_of(&me, id).await),
        code(world.service.set_instance_admin(&me, ada.user.id, true).await),
    ];
    assert!(refused.iter().all(|code| code == "identity.admin.required"), "{refused:?}");
    assert_eq!(code(world.service.list_users(&world.visitor(), everybody()).await), "auth.required");
    assert!(world.is_live(&bob).await);
}

#[tokio::test]
async fn accounts_are_found_by_part_of_name_or_address() {
    let world = World::new().await;
    let root = world.admin("root@example.org").await;
    for email in ["ada@example.org", "bob@example.org", "100%_real@example.org"] {
        world.clock.advance(std::time::Duration::from_secs(1));
        world.register(email).await;
    }
    let me = world.caller(&root);
    let emails = async |query: ListUsers| -> Vec<String> {
        let page = world.service.list_users(&me, query).await.unwrap();
        page.items.into_iter().filter_map(|user| user.email).collect()
    };
    let search = |text: &str| ListUsers {
        text: Some(text.to_owned()),
        ..everybody()
    };
    assert_eq!(
        emails(everybody()).await,
        ["100%_real@example.org", "bob@example.org", "ada@example.org", "root@example.org"],
        "newest first"
    );
    assert_eq!(emails(search("BOB@")).await, ["bob@example.org"]);
    assert_eq!(emails(search("%_")).await, ["100%_real@example.org"], "wildcards are letters");
    assert_eq!(emails(search("root")).await, ["root@example.org"]);

    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let query = ListUsers {
            limit: 1,
            cursor: cursor.take(),
            ..everybody()
        };
        let page = world.service.list_users(&me, query).await.unwrap();
        seen.extend(page.items.into_iter().filter_map(|user| user.email));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 4);
    let first = world.service.list_users(&me, ListUsers { limit: 1, ..everybody() }).await.unwrap();
    let changed = ListUsers {
        cursor: first.next_cursor,
        ..search("bob")
    };
    assert_eq!(world.service.list_users(&me, changed).await.unwrap_err().kind, ErrorKind::Malformed);
}

#[tokio::test]
async fn sec_14_administrators_can_end_anyones_sessions_lock_and_unlock() {
    let world = World::new().await;
    let root = world.admin("root@example.org").await;
    let ada = world.register("ada@example.org").await;
    let me = world.caller(&root);
    world.service.end_sessions_of(&me, ada.user.id).await.unwrap();
    assert!(!world.is_live(&ada).await);
    world.service.lock(&me, ada.user.id).await.unwrap();
    world.service.lock(&me, ada.user.id).await.expect("as often as it is asked");
    assert_eq!(world.user(&ada).await.status, UserStatus::Locked);
    assert_eq!(
        code(world.sign_in("ada@example.org", PASSWORD).await),
        "identity.credentials.invalid"
    );
    world.service.unlock(&me, ada.user.id).await.unwrap();
    assert!(world.sign_in("ada@example.org", PASSWORD).await.is_ok());
    assert!(!world.is_live(&ada).await, "old sessions stay ended");
    let unknown: UserId = unknown_id();
    assert_eq!(code(world.service.lock(&me, unknown).await), "identity.user.not_found");
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let world = World::new().await;
    let root = world.admin("root@example.org").await;
    let me = world.caller(&root);
    let id = root.user.id;
    assert_eq!(code(world.service.set_instance_admin(&me, id, false).await), "identity.admin.last");
    assert_eq!(code(world.service.lock(&me, id).await), "identity.admin.last");
    assert_eq!(
        code(world.service.delete_me(&me, &PASSWORD.into(), None, None).await),
        "identity.admin.last"
    );
    assert_eq!(
        code(world.service.disable_me(&me, &PASSWORD.into(), None).await),
        "identity.admin.last"
    );
    assert!(world.is_live(&root).await, "nothing of it happened");

    let second = world.register("ada@example.org").await;
    world.service.set_instance_admin(&me, second.user.id, true).await.unwrap();
    world.service.set_instance_admin(&me, id, false).await.unwrap();
    let mut stale = world.caller(&second);
    stale.instance_admin = true;
    assert_eq!(
        code(world.service.set_instance_admin(&stale, second.user.id, false).await),
        "identity.admin.last"
    );
    let request = contracts::identity::CheckSession {
        user_id: id,
        session_id: root.session.id,
    };
    assert!(!world.service.session_state(&request).await.unwrap().instance_admin);
}

#[tokio::test]
async fn the_command_line_creates_resets_and_locks() {
    let world = World::new().await;
    let created = world
        .service
        .create_user(CreateUser {
            email: "Op@example.org".to_owned(),
            name: "Operator".to_owned(),
            password: None,
            instance_admin: false,
        })
        .await
        .unwrap();
    let password = created.generated_password.unwrap();
    let session = world.sign_in("op@example.org", password.expose_secret()).await.unwrap();
    assert!(session.user.email_verified);
    let chosen = world.service.reset_password("op@example.org", Some(PASSWORD.into())).await.unwrap();
    assert!(chosen.generated_password.is_none());
    assert!(!world.is_live(&session).await);
    assert!(world.sign_in("op@example.org", PASSWORD).await.is_ok());
    world.service.lock_user("op@example.org").await.unwrap();
    assert_eq!(
        code(world.sign_in("op@example.org", PASSWORD).await),
        "identity.credentials.invalid"
    );
    world.service.unlock_user("op@example.org").await.unwrap();
    assert!(world.sign_in("op@example.org", PASSWORD).await.is_ok());
    assert_eq!(code(world.service.lock_user("nobody@example.org").await), "identity.user.not_found");
}
