//! Purge after the time of restoring, and the end of accounts.

use std::time::Duration;

use contracts::identity::SoleOwnedWorkspaces;
use contracts::identity::events::UserDeactivated;
use contracts::workspaces::events::{MemberRemoved, ProjectPurged, RoleChanged, WorkspaceDeleted, WorkspacePurged};
use kernel::ids::EventId;
use kernel::roles::Role;
use platform::db::{DbError, FromRow, Row, Unit};
use platform::due::Sweep;
use platform::events::Consumer;
use sea_query::{Expr, ExprTrait};

use super::*;
use crate::events::AccountConsumer;
use crate::jobs::Purge;

const DAY: Duration = Duration::from_secs(86_400);

async fn count(world: &World, table: &'static str) -> i64 {
    struct Count(i64);
    impl FromRow for Count {
        fn from_row(row: &Row<'_>) -> std::result::Result<Self, DbError> {
            row.get(0).map(Self)
        }
    }
    let select = Query::select()
        .expr(Expr::col(Alias::new("version")).count())
        .from(Alias::new(table))
        .take();
    world.db.one::<Count>(select).await.expect("a count").0
}

#[tokio::test]
async fn what_was_deleted_goes_after_thirty_days_and_nothing_else() {
    let world = World::new().await;
    let ada = world.person("ada");
    let caller = world.caller(ada);
    let (gone, kept) = (world.workspace(ada, "Gone").await.id, world.workspace(ada, "Kept").await.id);
    for key in ["AAA", "BBB"] {
        world.project(ada, gone, key, false).await;
    }
    let (old, live) = (
        world.project(ada, kept, "OLD", false).await.id,
        world.project(ada, kept, "NEW", false).await.id,
    );
    world
        .service
        .create_invitation(&caller, gone, by_link(Role::Viewer, true))
        .await
        .expect("issued");
    world
        .service
        .create_invitation(&caller, kept, by_link(Role::Viewer, true))
        .await
        .expect("issued");
    world.service.delete_workspace(&caller, gone, &no_match()).await.expect("deleted");
    world.service.delete_project(&caller, old, &no_match()).await.expect("deleted");

    let purge = Purge::new(world.service.clone());
    world.clock.advance(DAY * 30);
    purge.run().await.expect("swept");
    assert_eq!(
        (count(&world, "workspaces").await, count(&world, "projects").await),
        (2, 4),
        "not yet"
    );
    world.clock.advance(DAY);
    purge.run().await.expect("swept");
    purge.run().await.expect("again");
    assert_eq!((count(&world, "workspaces").await, count(&world, "projects").await), (1, 1));
    assert_eq!(
        (
            count(&world, "members").await,
            count(&world, "project_members").await,
            count(&world, "invitations").await
        ),
        (1, 1, 1)
    );
    let purged: Vec<_> = world
        .events_of::<WorkspacePurged>()
        .await
        .into_iter()
        .map(|event| event.workspace_id)
        .collect();
    assert_eq!(purged, [gone]);
    let purged: Vec<_> = world
        .events_of::<ProjectPurged>()
        .await
        .into_iter()
        .map(|event| event.project_id)
        .collect();
    assert_eq!(purged, [old]);
    assert!(world.access(live, ada).await.is_some());
    world.clock.advance(DAY * 7);
    purge.run().await.expect("swept");
    assert_eq!(count(&world, "invitations").await, 0, "ended 30 days ago");
}

async fn deactivate(world: &World, user_id: UserId, deleted: bool) {
    deactivate_with(world, user_id, deleted, None).await;
}

async fn deactivate_with(world: &World, user_id: UserId, deleted: bool, sole_owned_workspaces: Option<SoleOwnedWorkspaces>) {
    let payload = UserDeactivated {
        user_id,
        deleted,
        sole_owned_workspaces,
    };
    let envelope = Envelope {
        specversion: "1.0".into(),
        id: EventId::generate(&world.clock),
        source: "/services/identity".into(),
        event_type: UserDeactivated::TYPE.into(),
        subject: user_id.to_string(),
        time: world.clock.now(),
        datacontenttype: "application/json".into(),
        workspaceid: None,
        actor: Actor::System,
        traceparent: None,
        requestid: None,
        data: serde_json::to_value(&payload).expect("json"),
    };
    let consumer = AccountConsumer::new(world.service.clone());
    let mut unit = Unit::new(&Caller::system(&world.clock, "relay"));
    consumer.handle(&envelope, &mut unit).await.expect("handled");
    world.db.apply(unit).await.expect("applied");
    let changed = platform::signals::Signal::MembershipChanged {
        workspace_id: WorkspaceId::generate(&world.clock),
        user_id: None,
    };
    world.service.toolkit.signals.publish(changed);
}

#[tokio::test]
async fn a_deleted_account_leaves_and_no_workspace_stays_without_an_owner() {
    let world = World::new().await;
    let ada = world.person("ada");
    let (alone, shared, led) = (
        world.workspace(ada, "Alone").await.id,
        world.workspace(ada, "Shared").await.id,
        world.workspace(ada, "Led").await.id,
    );
    let bob = world.joined(shared, "bob", Role::Viewer).await;
    world.clock.advance(Duration::from_secs(1));
    let cy = world.joined(shared, "cy", Role::Collaborator).await;
    world.clock.advance(Duration::from_secs(1));
    let dan = world.joined(shared, "dan", Role::Collaborator).await;
    let eli = world.joined(led, "eli", Role::Owner).await;

    deactivate(&world, ada, false).await;
    assert!(world.membership(shared, ada).await.is_some(), "a disabled account can come back");
    deactivate(&world, ada, true).await;
    for workspace in [alone, shared, led] {
        assert_eq!(world.membership(workspace, ada).await, None);
    }
    assert_eq!(
        world.membership(shared, cy).await.expect("cy").role,
        Role::Owner,
        "the highest, then longest there"
    );
    assert_eq!(world.membership(shared, dan).await.expect("dan").role, Role::Collaborator);
    assert_eq!(world.membership(shared, bob).await.expect("bob").role, Role::Viewer);
    assert_eq!(
        code(world.service.leave_workspace(&world.caller(cy), shared).await),
        "workspaces.owner.last",
        "the counts are right"
    );
    assert_eq!(
        code(world.service.leave_workspace(&world.caller(eli), led).await),
        "workspaces.owner.last"
    );
    let deleted: Vec<_> = world
        .events_of::<WorkspaceDeleted>()
        .await
        .into_iter()
        .map(|event| event.workspace_id)
        .collect();
    assert_eq!(deleted, [alone], "nobody is left there");
    assert_eq!(world.events_of::<MemberRemoved>().await.len(), 2);
    assert_eq!(world.events_of::<RoleChanged>().await.len(), 1);
}

#[tokio::test]
async fn who_alone_owns_what_is_known_and_can_be_deleted_with_the_account() {
    let world = World::new().await;
    let ada = world.person("ada");
    let (alone, shared, led, gone) = (
        world.workspace(ada, "Alone").await.id,
        world.workspace(ada, "Shared").await.id,
        world.workspace(ada, "Led").await.id,
        world.workspace(ada, "Gone").await.id,
    );
    let bob = world.joined(shared, "bob", Role::Collaborator).await;
    world.joined(shared, "cy", Role::Viewer).await;
    world.joined(led, "eli", Role::Owner).await;
    world.joined(gone, "dan", Role::Viewer).await;
    let any = if_match(1);
    world
        .service
        .delete_workspace(&world.caller(ada), gone, &any)
        .await
        .expect("deleted");
    let sole = async |user_id| {
        let request = ListSoleOwned { user_id };
        let context = world.nobody().call();
        world.service.list_sole_owned(&context, request).await.expect("a list")
    };
    let expected = SoleOwnedWorkspace {
        workspace_id: shared,
        name: "Shared".into(),
        other_members: 2,
    };
    assert_eq!(
        sole(ada).await,
        [expected],
        "not one without others, with another owner, or deleted already"
    );
    assert_eq!(sole(bob).await, []);

    deactivate_with(&world, ada, true, Some(SoleOwnedWorkspaces::Delete)).await;
    assert_eq!(world.membership(shared, bob).await, None);
    let mut deleted: Vec<_> = world
        .events_of::<WorkspaceDeleted>()
        .await
        .into_iter()
        .map(|event| event.workspace_id)
        .collect();
    deleted.sort_unstable();
    let mut expected = [alone, shared, gone];
    expected.sort_unstable();
    assert_eq!(deleted, expected);
    assert_eq!(world.events_of::<RoleChanged>().await, [], "nobody inherits");
}
