use contracts::workspaces::events::{MemberRemoved, RoleChanged};
use kernel::ErrorKind;
use kernel::roles::{Role, SalesRole};
use platform::http::Field;

use super::*;
use crate::service::members::{TransferOwnership, UpdateMember};

fn role(role: Role) -> UpdateMember {
    UpdateMember {
        role: Some(role),
        sales_role: Field::Absent,
    }
}

#[tokio::test]
async fn members_are_listed_with_names_in_one_call() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    for n in 0..7 {
        world.clock.advance(std::time::Duration::from_secs(u64::from(n % 3 == 0)));
        world.joined(acme, &format!("p{n}"), Role::Viewer).await;
    }
    world.directory_calls();
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let found = world
            .service
            .list_members_page(&world.caller(ada), acme, None, page(3, cursor))
            .await
            .expect("a page");
        names.extend(found.items.iter().map(|item| item.person.as_ref().expect("a person").name.clone()));
        match found.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(names, ["ada", "p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    assert_eq!(world.directory_calls(), 3, "one call per page");
    let owners = world
        .service
        .list_members_page(&world.caller(ada), acme, Some(Role::Owner), page(50, None))
        .await
        .expect("a page");
    assert_eq!(owners.items.len(), 1);
}

#[tokio::test]
async fn a_role_changes_at_once_with_its_version_and_its_event() {
    let world = World::new().await;
    let ada = world.person("ada");
    let caller = world.caller(ada);
    let acme = world.workspace(ada, "Acme").await.id;
    let bob = world.joined(acme, "bob", Role::Collaborator).await;
    assert_eq!(world.membership(acme, bob).await.expect("a member").role, Role::Collaborator);

    let missing = world
        .service
        .update_member(&caller, acme, bob, &no_match(), role(Role::Viewer))
        .await
        .expect_err("428");
    assert_eq!(missing.kind, ErrorKind::PreconditionRequired);
    let change = UpdateMember {
        role: Some(Role::Viewer),
        sales_role: Field::Value(SalesRole::Agent),
    };
    let changed = world
        .service
        .update_member(&caller, acme, bob, &if_match(1), change)
        .await
        .expect("changed");
    assert_eq!(
        (changed.version, changed.body.role, changed.body.sales_role),
        (Some(2), Role::Viewer, Some(SalesRole::Agent))
    );
    assert_eq!(
        world.membership(acme, bob).await.expect("a member").role,
        Role::Viewer,
        "the cache forgot"
    );
    let stale = world
        .service
        .update_member(&caller, acme, bob, &if_match(1), role(Role::Owner))
        .await
        .expect_err("412");
    assert_eq!(stale.kind, ErrorKind::Precondition);
    let same = world
        .service
        .update_member(&caller, acme, bob, &if_match(2), role(Role::Viewer))
        .await
        .expect("nothing");
    assert_eq!(same.version, Some(2));
    let events = world.events_of::<RoleChanged>().await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].user_id, events[0].old_role, events[0].new_role),
        (bob, Some(Role::Collaborator), Some(Role::Viewer))
    );
    assert_eq!(events[0].new_sales_role, Some(SalesRole::Agent));
}

#[tokio::test]
async fn a_removed_member_is_stopped_at_once_and_loses_project_roles() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    let bob = world.joined(acme, "bob", Role::Collaborator).await;
    let project = world.project(bob, acme, "ABC", true).await.id;
    assert_eq!(world.access(project, bob).await.expect("access").role, Role::Owner);
    assert!(world.membership(acme, bob).await.is_some());

    world
        .service
        .remove_member(&world.caller(ada), acme, bob, &if_match(1))
        .await
        .expect("removed");
    assert_eq!(world.membership(acme, bob).await, None);
    assert_eq!(world.access(project, bob).await, None);
    assert_eq!(
        code(world.service.get_project(&world.caller(bob), project).await),
        "workspaces.project.not_found"
    );
    assert_eq!(
        code(world.service.get_workspace(&world.caller(bob), acme).await),
        "workspaces.workspace.not_found"
    );
    let events = world.events_of::<MemberRemoved>().await;
    assert_eq!((events[0].user_id, events[0].left), (bob, false));

    // Back as a viewer, bob does not find the old project role again.
    world.join(acme, bob, Role::Viewer, None).await;
    assert_eq!(world.access(project, bob).await, None, "the project is private");
}

#[tokio::test]
async fn the_last_owner_stays() {
    let world = World::new().await;
    let ada = world.person("ada");
    let caller = world.caller(ada);
    let acme = world.workspace(ada, "Acme").await.id;
    let bob = world.joined(acme, "bob", Role::Collaborator).await;
    let last = "workspaces.owner.last";
    assert_eq!(code(world.service.leave_workspace(&caller, acme).await), last);
    assert_eq!(
        code(
            world
                .service
                .update_member(&caller, acme, ada, &if_match(1), role(Role::Viewer))
                .await
        ),
        last
    );
    assert_eq!(code(world.service.remove_member(&caller, acme, ada, &if_match(1)).await), last);
    assert!(world.membership(acme, ada).await.is_some(), "nothing happened");

    world
        .service
        .update_member(&caller, acme, bob, &if_match(1), role(Role::Owner))
        .await
        .expect("a second owner");
    world.service.leave_workspace(&caller, acme).await.expect("left");
    assert_eq!(code(world.service.leave_workspace(&world.caller(bob), acme).await), last);
    let events = world.events_of::<MemberRemoved>().await;
    assert_eq!((events.len(), events[0].left), (1, true));
}

#[tokio::test]
async fn ownership_is_transferred_in_one_step() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    let bob = world.joined(acme, "bob", Role::Viewer).await;
    let stranger = world.person("eve");
    let to = |user_id| TransferOwnership {
        user_id,
        own_role: Role::Collaborator,
    };
    for nobody in [stranger, ada] {
        let error = world
            .service
            .transfer_ownership(&world.caller(ada), acme, &if_match(1), to(nobody))
            .await
            .expect_err("422");
        assert_eq!((error.kind, error.fields[0].pointer.as_str()), (ErrorKind::Invalid, "/user_id"));
    }
    assert_eq!(
        code(
            world
                .service
                .transfer_ownership(&world.caller(bob), acme, &if_match(1), to(ada))
                .await
        ),
        "workspaces.role.too_low"
    );
    for (condition, refused) in [(no_match(), "request.if_match_required"), (if_match(7), "request.version_mismatch")] {
        let unchanged = world
            .service
            .transfer_ownership(&world.caller(ada), acme, &condition, to(bob))
            .await;
        assert_eq!(code(unchanged), refused);
    }
    world
        .service
        .transfer_ownership(&world.caller(ada), acme, &if_match(1), to(bob))
        .await
        .expect("transferred");
    assert_eq!(world.membership(acme, bob).await.expect("bob").role, Role::Owner);
    assert_eq!(world.membership(acme, ada).await.expect("ada").role, Role::Collaborator);
    assert_eq!(world.events_of::<RoleChanged>().await.len(), 2);
    assert_eq!(
        code(world.service.leave_workspace(&world.caller(bob), acme).await),
        "workspaces.owner.last",
        "the count is right"
    );

    // To somebody who is owner already it is only the giving up.
    world
        .service
        .update_member(&world.caller(bob), acme, ada, &if_match(2), role(Role::Owner))
        .await
        .expect("two owners");
    world
        .service
        .transfer_ownership(&world.caller(bob), acme, &if_match(1), to(ada))
        .await
        .expect("transferred");
    assert_eq!(
        code(world.service.leave_workspace(&world.caller(ada), acme).await),
        "workspaces.owner.last"
    );
    world
        .service
        .leave_workspace(&world.caller(bob), acme)
        .await
        .expect("bob is no owner");
}
