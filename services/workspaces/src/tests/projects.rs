use contracts::workspaces::events::{ProjectCreated, ProjectDeleted, ProjectRestored, ProjectUpdated, RoleChanged};
use kernel::ErrorKind;
use kernel::roles::Role;
use platform::http::Field;

use super::*;
use crate::model::ProjectState;
use crate::service::projects::UpdateProject;

#[tokio::test]
async fn a_project_lives_from_making_to_restoring() {
    let world = World::new().await;
    let ada = world.person("ada");
    let caller = world.caller(ada);
    let acme = world.workspace(ada, "Acme").await.id;
    let made = world.project(ada, acme, "ABC", false).await;
    let change = UpdateProject {
        name: Field::Value("Apollo".into()),
        description: Field::Value("To the moon".into()),
        ..UpdateProject::default()
    };
    let stale = world
        .service
        .update_project(&caller, made.id, &if_match(7), change.clone())
        .await
        .expect_err("412");
    assert_eq!(stale.kind, ErrorKind::Precondition);
    let changed = world
        .service
        .update_project(&caller, made.id, &no_match(), change)
        .await
        .expect("changed");
    assert_eq!((changed.version, changed.body.name.as_str()), (Some(2), "Apollo"));
    let cleared = UpdateProject {
        description: Field::Null,
        ..UpdateProject::default()
    };
    let cleared = world
        .service
        .update_project(&caller, made.id, &if_match(2), cleared)
        .await
        .expect("cleared");
    assert_eq!(cleared.body.description, None);
    let nameless = UpdateProject {
        name: Field::Null,
        ..UpdateProject::default()
    };
    let error = world
        .service
        .update_project(&caller, made.id, &no_match(), nameless)
        .await
        .expect_err("422");
    assert_eq!(error.fields[0].code, "not_null");

    assert!(!world.access(made.id, ada).await.expect("access").archived);
    let archived = world
        .service
        .set_archived(&caller, made.id, &no_match(), true)
        .await
        .expect("archived");
    assert_eq!(archived.version, Some(4));
    assert_eq!(
        world
            .service
            .set_archived(&caller, made.id, &no_match(), true)
            .await
            .expect("again")
            .version,
        Some(4)
    );
    assert!(world.access(made.id, ada).await.expect("access").archived, "the cache forgot");
    world
        .service
        .set_archived(&caller, made.id, &no_match(), false)
        .await
        .expect("active");

    world.service.delete_project(&caller, made.id, &no_match()).await.expect("deleted");
    assert_eq!(world.access(made.id, ada).await, None);
    assert_eq!(
        code(world.service.get_project(&caller, made.id).await),
        "workspaces.project.not_found"
    );
    let again = CreateProject {
        workspace_id: acme,
        key: "ABC".into(),
        name: "X".into(),
        description: None,
        private: false,
    };
    let taken = world.service.create_project(&caller, again).await.expect_err("the key stays taken");
    assert_eq!((taken.kind, taken.fields[0].pointer.as_str()), (ErrorKind::Conflict, "/key"));
    let restored = world.service.restore_project(&caller, made.id).await.expect("restored");
    assert_eq!(restored.body.name, "Apollo");
    assert_eq!(
        code(world.service.restore_project(&caller, made.id).await),
        "workspaces.project.not_deleted"
    );

    assert_eq!(world.events_of::<ProjectCreated>().await.len(), 1);
    let updates: Vec<_> = world
        .events_of::<ProjectUpdated>()
        .await
        .into_iter()
        .map(|event| event.changed)
        .collect();
    assert_eq!(
        updates,
        [vec!["name", "description"], vec!["description"], vec!["archived"], vec!["archived"]]
    );
    assert_eq!(
        (
            world.events_of::<ProjectDeleted>().await.len(),
            world.events_of::<ProjectRestored>().await.len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn projects_are_found_by_state_and_text() {
    let world = World::new().await;
    let ada = world.person("ada");
    let caller = world.caller(ada);
    let acme = world.workspace(ada, "Acme").await.id;
    let other = world.workspace(ada, "Other").await.id;
    for (key, name) in [
        ("AAA", "Straße 100%"),
        ("BBB", "STRASSE_x"),
        ("CCC", "under_score"),
        ("DDD", "underXscore"),
    ] {
        world.tick();
        let command = CreateProject {
            workspace_id: acme,
            key: key.into(),
            name: name.into(),
            description: None,
            private: false,
        };
        world.service.create_project(&caller, command).await.expect("made");
    }
    let elsewhere = world.project(ada, other, "AAA", false).await.id;
    let find = async |workspace, state, text: &str| {
        let text = (!text.is_empty()).then(|| text.to_owned());
        let found = world
            .service
            .list_projects(&caller, workspace, state, text, page(50, None))
            .await
            .expect("a page");
        found.items.into_iter().map(|item| item.project.key).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(find(None, None, "").await, "AAA BBB CCC DDD AAA");
    assert_eq!(find(Some(acme), None, "").await, "AAA BBB CCC DDD");
    assert_eq!(find(Some(acme), None, "STRASSE").await, "BBB");
    assert_eq!(find(Some(acme), None, "straße").await, "AAA");
    assert_eq!(find(Some(acme), None, "100%").await, "AAA");
    assert_eq!(find(Some(acme), None, "r_s").await, "CCC", "wildcards are text");
    assert_eq!(find(Some(acme), None, "ddd").await, "DDD");
    world
        .service
        .set_archived(&caller, elsewhere, &no_match(), true)
        .await
        .expect("archived");
    assert_eq!(find(None, Some(ProjectState::Archived), "").await, "AAA");
    assert_eq!(find(None, Some(ProjectState::Active), "").await, "AAA BBB CCC DDD");
    world
        .service
        .delete_project(&caller, elsewhere, &no_match())
        .await
        .expect("deleted");
    assert_eq!(find(None, Some(ProjectState::Deleted), "").await, "AAA");
    assert_eq!(find(None, Some(ProjectState::Archived), "").await, "");
    let viewer = world.joined(other, "viewer", Role::Viewer).await;
    let deleted = world
        .service
        .list_projects(&world.caller(viewer), None, Some(ProjectState::Deleted), None, page(9, None))
        .await;
    assert!(
        deleted.expect("a page").items.is_empty(),
        "only who can restore them sees deleted ones"
    );
}

#[tokio::test]
async fn a_list_costs_a_fixed_number_of_statements() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    for n in 0..20 {
        world.project(ada, acme, &format!("P{n}"), n % 2 == 0).await;
        world.joined(acme, &format!("p{n}"), Role::Viewer).await;
    }
    let caller = world.caller(ada);
    let (found, statements) =
        platform::db::count_statements(world.service.list_projects(&caller, Some(acme), None, None, page(50, None))).await;
    assert_eq!((found.expect("a page").items.len(), statements), (20, 2));
    let (found, statements) = platform::db::count_statements(world.service.list_members_page(&caller, acme, None, page(50, None))).await;
    assert_eq!((found.expect("a page").items.len(), statements), (21, 2));
    let (found, statements) = platform::db::count_statements(world.service.list_workspaces(&caller, false, page(50, None))).await;
    assert_eq!((found.expect("a page").items.len(), statements), (1, 1));
}

#[tokio::test]
async fn a_project_role_widens_and_narrows_and_is_bounded_by_the_givers() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    let bob = world.joined(acme, "bob", Role::Collaborator).await;
    let vic = world.joined(acme, "vic", Role::Viewer).await;
    let project = world.project(bob, acme, "ABC", false).await.id;
    let caller = world.caller(bob);
    for condition in [any_match(), if_match(1)] {
        let refused = world
            .service
            .set_project_role(&caller, project, vic, &condition, Role::Collaborator, true)
            .await
            .expect_err("412: there is nothing to match");
        assert_eq!(refused.kind, ErrorKind::Precondition);
    }
    // Bob made the project and is its owner, though no owner of the workspace.
    let given = world
        .service
        .set_project_role(&caller, project, vic, &no_match(), Role::Collaborator, true)
        .await
        .expect("given");
    assert_eq!((given.status, given.version), (201, Some(1)));
    assert_eq!(world.access(project, vic).await.expect("access").role, Role::Collaborator);
    let again = world
        .service
        .set_project_role(&caller, project, vic, &no_match(), Role::Collaborator, true)
        .await
        .expect("the same");
    assert_eq!((again.status, again.version), (200, Some(1)));
    let blind = world
        .service
        .set_project_role(&caller, project, vic, &no_match(), Role::Viewer, true)
        .await
        .expect_err("428");
    assert_eq!(blind.kind, ErrorKind::PreconditionRequired);
    let narrowed = world
        .service
        .set_project_role(&caller, project, vic, &if_match(1), Role::Viewer, false)
        .await
        .expect("narrowed");
    assert_eq!(narrowed.version, Some(2));
    assert_eq!(
        code(
            world
                .service
                .set_project_role(&world.caller(vic), project, vic, &if_match(2), Role::Owner, false)
                .await
        ),
        "workspaces.role.too_low"
    );
    world
        .service
        .remove_project_member(&world.caller(vic), project, vic, &if_match(2))
        .await
        .expect("given up");
    assert_eq!(
        code(
            world
                .service
                .set_project_role(&caller, project, vic, &no_match(), Role::Viewer, false)
                .await
        ),
        "workspaces.member.not_found"
    );

    // A narrowed collaborator cannot shake the narrower role off.
    let cy = world.joined(acme, "cy", Role::Collaborator).await;
    world
        .service
        .set_project_role(&caller, project, cy, &no_match(), Role::Viewer, true)
        .await
        .expect("narrowed");
    assert_eq!(
        code(
            world
                .service
                .remove_project_member(&world.caller(cy), project, cy, &if_match(1))
                .await
        ),
        "workspaces.role.too_low"
    );
    assert_eq!(world.access(project, cy).await.expect("access").role, Role::Viewer);
    let listed = world
        .service
        .list_project_members(&caller, project, page(50, None))
        .await
        .expect("a page");
    assert_eq!(listed.items.len(), 2);
    assert_eq!(
        world
            .events_of::<RoleChanged>()
            .await
            .iter()
            .filter(|event| event.project_id == Some(project))
            .count(),
        4
    );
}

#[tokio::test]
async fn strict_mode_demands_if_match_of_projects_too() {
    let world = World::new().await;
    let ada = world.person("ada");
    let caller = world.caller(ada);
    let command = CreateWorkspace {
        name: "Strict".into(),
        slug: None,
        description: None,
        time_zone: None,
        strict_concurrency: true,
        default_role: None,
    };
    let acme = world.service.create_workspace(&caller, command).await.expect("made").body.id;
    let project = world.project(ada, acme, "ABC", false).await.id;
    let change = UpdateProject {
        private: Field::Value(true),
        ..UpdateProject::default()
    };
    let blind = world
        .service
        .update_project(&caller, project, &no_match(), change.clone())
        .await
        .expect_err("428");
    assert_eq!(blind.kind, ErrorKind::PreconditionRequired);
    world
        .service
        .update_project(&caller, project, &if_match(1), change)
        .await
        .expect("changed");
}
