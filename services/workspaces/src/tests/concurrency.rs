//! Two at once. Each race runs many times on the engine under test.

use contracts::workspaces::{ClaimInvitation, Workspaces};
use futures_util::FutureExt;
use kernel::roles::Role;
use platform::http::Field;
use tokio::task::JoinSet;

use super::*;
use crate::service::members::UpdateMember;

const ROUNDS: usize = 15;

/// Starts all at the same moment and waits for all.
async fn race<T: Send + 'static>(futures: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let barrier = Arc::new(tokio::sync::Barrier::new(futures.len()));
    let mut set = JoinSet::new();
    for future in futures {
        let barrier = barrier.clone();
        set.spawn(async move {
            barrier.wait().await;
            future.await
        });
    }
    set.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_leave_at_once_and_one_stays() {
    let world = World::new().await;
    for round in 0..ROUNDS {
        let (ada, bob) = (world.person("ada"), world.person("bob"));
        let acme = world.workspace(ada, &format!("Acme {round}")).await.id;
        world.join(acme, bob, Role::Owner, None).await;
        let leave = [ada, bob].map(|user| {
            let (service, caller) = (world.service.clone(), world.caller(user));
            async move { service.leave_workspace(&caller, acme).await.map(drop) }
        });
        let done = race(leave.into()).await;
        let left = done.iter().filter(|result| result.is_ok()).count();
        assert_eq!(left, 1, "round {round}: {done:?}");
        let refused = done.into_iter().find_map(std::result::Result::err).expect("one refusal");
        assert_eq!(refused.code, "workspaces.owner.last");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_demote_each_other_and_one_stays() {
    let world = World::new().await;
    for round in 0..ROUNDS {
        let (ada, bob) = (world.person("ada"), world.person("bob"));
        let acme = world.workspace(ada, &format!("Acme {round}")).await.id;
        world.join(acme, bob, Role::Owner, None).await;
        let demote = [(ada, bob), (bob, ada)].map(|(actor, target)| {
            let (service, caller) = (world.service.clone(), world.caller(actor));
            let command = UpdateMember {
                role: Some(Role::Viewer),
                sales_role: Field::Absent,
            };
            async move { service.update_member(&caller, acme, target, &if_match(1), command).await.map(drop) }
        });
        let done = race(demote.into()).await;
        assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 1, "round {round}: {done:?}");
        let owners = [world.membership(acme, ada).await, world.membership(acme, bob).await];
        let owners = owners.iter().flatten().filter(|member| member.role == Role::Owner).count();
        assert_eq!(owners, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_accepted_by_many_at_once_makes_one_member() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    for round in 0..ROUNDS {
        let issued = world
            .service
            .create_invitation(&world.caller(ada), acme, by_link(Role::Viewer, true))
            .await
            .expect("issued");
        let token = issued.body.token.expect("a token");
        // Twice the same person and two others.
        let bob = world.person("bob");
        let people = [bob, bob, world.person("cy"), world.person("dan")];
        let accept = people.map(|user| {
            let (service, caller, token) = (world.service.clone(), world.caller(user), token.clone());
            async move { service.accept_invitation(&caller, &token).await.map(drop) }
        });
        let done = race(accept.into()).await;
        assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 1, "round {round}: {done:?}");
        let members = world
            .service
            .list_members_page(&world.caller(ada), acme, None, page(200, None))
            .await
            .expect("a page");
        assert_eq!(members.items.len(), round + 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_link_claimed_by_many_at_once_is_for_one_account() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    for round in 0..ROUNDS {
        let issued = world
            .service
            .create_invitation(&world.caller(ada), acme, by_link(Role::Viewer, true))
            .await
            .expect("issued");
        let token = issued.body.token.expect("a token");
        // Twice the same address and four others.
        let claims = ["bob", "bob", "cy", "dan", "eve", "fay"].map(|name| {
            let (service, ctx) = (world.service.clone(), world.nobody().call());
            let request = ClaimInvitation {
                email: format!("{name}{round}@example.com"),
                token: token.clone(),
                user_id: UserId::generate(&world.clock),
            };
            async move { (name, service.claim_invitation(&ctx, request).await.expect("an answer")) }
        });
        let done = race(claims.into()).await;
        let mut winners: Vec<_> = done.iter().filter(|(_, id)| id.is_some()).collect();
        winners.dedup();
        assert_eq!(winners.len(), 1, "round {round}: {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_at_once_gives_different_slugs() {
    let world = World::new().await;
    let made: Vec<_> = (0..8)
        .map(|n| {
            let (service, caller) = (world.service.clone(), world.caller(world.person(&format!("p{n}"))));
            let command = CreateWorkspace {
                name: "Acme".into(),
                slug: None,
                description: None,
                time_zone: None,
                strict_concurrency: false,
                default_role: None,
            };
            async move { service.create_workspace(&caller, command).await.expect("made").body.slug }
        })
        .collect();
    let mut slugs = race(made).await;
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), 8);
    assert!(slugs.contains(&"acme".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_who_goes_while_being_given_a_project_role_keeps_none() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    let project = world.project(ada, acme, "ABC", true).await.id;
    for _ in 0..ROUNDS {
        let bob = world.joined(acme, "bob", Role::Viewer).await;
        let (service, caller) = (world.service.clone(), world.caller(ada));
        let (leaver, leaving) = (world.service.clone(), world.caller(bob));
        let give = async move {
            let given = service
                .set_project_role(&caller, project, bob, &no_match(), Role::Viewer, true)
                .await;
            given.map(drop)
        };
        let leave = async move { leaver.leave_workspace(&leaving, acme).await.map(drop) };
        let done = race(vec![give.boxed(), leave.boxed()]).await;
        for refused in done.into_iter().filter_map(std::result::Result::err) {
            assert_eq!(refused.code, "workspaces.member.not_found", "only the role can come too late");
        }
        assert_eq!(world.membership(acme, bob).await, None, "left");
        let listed = world
            .service
            .list_project_members(&world.caller(ada), project, page(50, None))
            .await
            .expect("a page");
        assert!(
            listed.items.iter().all(|item| item.member.user_id != bob),
            "a role without a membership"
        );
    }
}
