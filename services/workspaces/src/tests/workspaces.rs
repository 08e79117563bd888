use contracts::workspaces::events::{WorkspaceCreated, WorkspaceDeleted, WorkspaceRestored, WorkspaceUpdated};
use kernel::ErrorKind;
use kernel::roles::{Role, SalesRole};
use platform::http::Field;
use std::time::Duration;

use super::*;
use crate::service::workspaces::UpdateWorkspace;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_workspace_lives_from_making_to_restoring() {
    let world = World::new().await;
    let ada = world.person("ada");
    let caller = world.caller(ada);
    let made = world.workspace(ada, "Acme & Sons").await;
    assert_eq!((made.slug.as_str(), made.time_zone.as_str()), ("acme-sons", "UTC"));
    let membership = world.membership(made.id, ada).await.expect("the maker is a member");
    assert_eq!((membership.role, membership.sales_role), (Role::Owner, Some(SalesRole::Admin)));

    let change = UpdateWorkspace {
        name: Field::Value("Acme".into()),
        description: Field::Value("Makers".into()),
        time_zone: Field::Value("Europe/Berlin".into()),
        strict_concurrency: Field::Value(true),
        ..UpdateWorkspace::default()
    };
    let missing = world
        .service
        .update_workspace(&caller, made.id, &no_match(), change.clone())
        .await
        .expect_err("428");
    assert_eq!(missing.kind, ErrorKind::PreconditionRequired);
    let stale = world
        .service
        .update_workspace(&caller, made.id, &if_match(9), change.clone())
        .await
        .expect_err("412");
    assert_eq!(stale.kind, ErrorKind::Precondition);
    let changed = world
        .service
        .update_workspace(&caller, made.id, &if_match(1), change.clone())
        .await
        .expect("changed");
    assert_eq!(changed.version, Some(2));
    assert_eq!(changed.body.description.as_deref(), Some("Makers"));
    let same = world
        .service
        .update_workspace(&caller, made.id, &if_match(2), change)
        .await
        .expect("nothing to do");
    assert_eq!(same.version, Some(2));
    assert_eq!(world.events_of::<WorkspaceUpdated>().await.len(), 1, "no event for no change");
    let membership = world.membership(made.id, ada).await.expect("a member");
    assert!(
        membership.strict_concurrency && membership.time_zone == "Europe/Berlin",
        "{membership:?}"
    );

    assert_eq!(
        world
            .service
            .delete_workspace(&caller, made.id, &no_match())
            .await
            .expect_err("strict")
            .kind,
        ErrorKind::PreconditionRequired
    );
    world
        .service
        .delete_workspace(&caller, made.id, &if_match(2))
        .await
        .expect("deleted");
    assert_eq!(world.membership(made.id, ada).await, None, "a deleted workspace has no members");
    assert_eq!(
        code(world.service.get_workspace(&caller, made.id).await),
        "workspaces.workspace.not_found"
    );
    let gone = world.service.list_workspaces(&caller, true, page(50, None)).await.expect("a page");
    assert_eq!(gone.items[0].workspace.purge_at, Some(world.clock.now().plus(DAY * 30)));
    assert!(
        world
            .service
            .list_workspaces(&caller, false, page(50, None))
            .await
            .expect("a page")
            .items
            .is_empty()
    );

    let restored = world.service.restore_workspace(&caller, made.id).await.expect("restored");
    assert_eq!(restored.body.deleted_at, None);
    assert!(world.membership(made.id, ada).await.is_some());
    assert_eq!(
        code(world.service.restore_workspace(&caller, made.id).await),
        "workspaces.workspace.not_deleted"
    );
    assert_eq!(world.events_of::<WorkspaceCreated>().await[0].owner_id, ada);
    assert_eq!(world.events_of::<WorkspaceDeleted>().await.len(), 1);
    assert_eq!(world.events_of::<WorkspaceRestored>().await.len(), 1);
}

#[tokio::test]
async fn restoring_ends_with_the_thirtieth_day_and_is_for_owners() {
    let world = World::new().await;
    let ada = world.person("ada");
    let made = world.workspace(ada, "Acme").await;
    let bob = world.joined(made.id, "bob", Role::Collaborator).await;
    world
        .service
        .delete_workspace(&world.caller(ada), made.id, &no_match())
        .await
        .expect("deleted");
    assert_eq!(
        code(world.service.restore_workspace(&world.caller(bob), made.id).await),
        "workspaces.workspace.not_found"
    );
    assert!(
        world
            .service
            .list_workspaces(&world.caller(bob), true, page(50, None))
            .await
            .expect("a page")
            .items
            .is_empty()
    );
    world.clock.advance(DAY * 30);
    assert_eq!(
        code(world.service.restore_workspace(&world.caller(ada), made.id).await),
        "workspaces.restore.too_late"
    );
}

#[tokio::test]
async fn fields_are_checked_all_at_once_and_slugs_are_unique() {
    let world = World::new().await;
    let ada = world.person("ada");
    let caller = world.caller(ada);
    let bad = CreateWorkspace {
        name: " \0 ".into(),
        slug: Some("No Slug".into()),
        description: Some("\u{7}".into()),
        time_zone: Some("Mars/Base".into()),
        strict_concurrency: false,
        default_role: Some(Role::Owner),
    };
    let error = world.service.create_workspace(&caller, bad).await.expect_err("422");
    let pointers: Vec<_> = error.fields.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/name", "/slug", "/description", "/time_zone", "/settings/default_role"]);

    let first = world.workspace(ada, "Acme").await;
    let second = world.workspace(ada, "Acme").await;
    assert_eq!(first.slug, "acme");
    assert!(second.slug.starts_with("acme-"), "{}", second.slug);
    let taken = CreateWorkspace {
        name: "Other".into(),
        slug: Some("acme".into()),
        description: None,
        time_zone: None,
        strict_concurrency: false,
        default_role: None,
    };
    let error = world.service.create_workspace(&caller, taken).await.expect_err("409");
    assert_eq!((error.kind, error.fields[0].pointer.as_str()), (ErrorKind::Conflict, "/slug"));
    let rename = UpdateWorkspace {
        slug: Field::Value("acme".into()),
        ..UpdateWorkspace::default()
    };
    assert_eq!(
        code(world.service.update_workspace(&caller, second.id, &if_match(1), rename).await),
        "workspaces.workspace.slug_taken"
    );
}

#[tokio::test]
async fn a_person_makes_a_bounded_number_and_pages_through_their_own() {
    let world = World::with(Config {
        max_workspaces_per_person: 5,
        ..Config::default()
    })
    .await;
    let (ada, bob) = (world.person("ada"), world.person("bob"));
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(world.workspace(ada, &format!("W{n}")).await.id);
    }
    world.workspace(bob, "Bob's").await;
    let one_more = CreateWorkspace {
        name: "W5".into(),
        slug: None,
        description: None,
        time_zone: None,
        strict_concurrency: false,
        default_role: None,
    };
    assert_eq!(
        code(world.service.create_workspace(&world.caller(ada), one_more).await),
        "workspaces.workspace.too_many"
    );
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let found = world
            .service
            .list_workspaces(&world.caller(ada), false, page(2, cursor))
            .await
            .expect("a page");
        seen.extend(found.items.iter().map(|item| item.workspace.id));
        match found.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    made.sort();
    assert_eq!(seen, made);
    let first = world
        .service
        .list_workspaces(&world.caller(ada), false, page(2, None))
        .await
        .expect("a page");
    let stolen = world
        .service
        .list_workspaces(&world.caller(bob), false, page(2, first.next_cursor))
        .await;
    assert_eq!(code(stolen), "request.cursor_invalid", "a cursor is bound to its person");
}
