//! Deny by default: every command for every role, and the answers for what is somebody else's.

use contracts::workspaces::{ListMembers, ListProjectAccess, MemberSummary};
use kernel::ErrorKind;
use kernel::ids::InvitationId;
use kernel::roles::{Role, effective_role};
use platform::http::Field;

use super::*;
use crate::service::members::{TransferOwnership, UpdateMember};
use crate::service::projects::UpdateProject;
use crate::service::workspaces::UpdateWorkspace;

/// Every command on a workspace and a project; kind of the refusal, if any.
async fn try_everything(
    world: &World,
    user: UserId,
    acme: WorkspaceId,
    project: ProjectId,
    other: UserId,
) -> Vec<(&'static str, Option<ErrorKind>)> {
    let (service, caller) = (&world.service, world.caller(user));
    let any = any_match();
    let kind = |result: Result<()>| result.err().map(|error| error.kind);
    let rename = UpdateWorkspace {
        name: Field::Value("New".into()),
        ..UpdateWorkspace::default()
    };
    let role = UpdateMember {
        role: Some(Role::Viewer),
        sales_role: Field::Absent,
    };
    let new = CreateProject {
        workspace_id: acme,
        key: "NEW".into(),
        name: "New".into(),
        description: None,
        private: false,
    };
    let edit = UpdateProject {
        name: Field::Value("New".into()),
        ..UpdateProject::default()
    };
    let unknown = InvitationId::generate(&world.clock);
    vec![
        ("get_workspace", kind(service.get_workspace(&caller, acme).await.map(drop))),
        (
            "update_workspace",
            kind(service.update_workspace(&caller, acme, &any, rename).await.map(drop)),
        ),
        (
            "list_members",
            kind(service.list_members_page(&caller, acme, None, page(9, None)).await.map(drop)),
        ),
        ("get_member", kind(service.get_member(&caller, acme, other).await.map(drop))),
        (
            "update_member",
            kind(service.update_member(&caller, acme, other, &any, role).await.map(drop)),
        ),
        (
            "create_invitation",
            kind(
                service
                    .create_invitation(&caller, acme, by_link(Role::Viewer, true))
                    .await
                    .map(drop),
            ),
        ),
        (
            "list_invitations",
            kind(service.list_invitations(&caller, acme, None, page(9, None)).await.map(drop)),
        ),
        (
            "get_invitation",
            kind(service.get_invitation(&caller, acme, unknown).await.map(drop)),
        ),
        ("create_project", kind(service.create_project(&caller, new).await.map(drop))),
        (
            "list_projects",
            kind(
                service
                    .list_projects(&caller, Some(acme), None, None, page(9, None))
                    .await
                    .map(drop),
            ),
        ),
        ("get_project", kind(service.get_project(&caller, project).await.map(drop))),
        (
            "update_project",
            kind(service.update_project(&caller, project, &any, edit).await.map(drop)),
        ),
        (
            "archive_project",
            kind(service.set_archived(&caller, project, &any, true).await.map(drop)),
        ),
        (
            "list_project_members",
            kind(service.list_project_members(&caller, project, page(9, None)).await.map(drop)),
        ),
        (
            "set_project_role",
            kind(
                service
                    .set_project_role(&caller, project, other, &no_match(), Role::Viewer, true)
                    .await
                    .map(drop),
            ),
        ),
        ("delete_project", kind(service.delete_project(&caller, project, &any).await)),
        ("remove_member", kind(service.remove_member(&caller, acme, other, &any).await)),
        (
            "transfer_ownership",
            kind(
                service
                    .transfer_ownership(
                        &caller,
                        acme,
                        &any,
                        TransferOwnership {
                            user_id: other,
                            own_role: Role::Viewer,
                        },
                    )
                    .await
                    .map(drop),
            ),
        ),
        ("delete_workspace", kind(service.delete_workspace(&caller, acme, &any).await)),
    ]
}

#[tokio::test]
async fn each_role_may_do_what_the_table_says_and_strangers_find_nothing() {
    use ErrorKind::{Forbidden, Invalid, NotFound};
    let viewer_may = [
        "get_workspace",
        "list_members",
        "get_member",
        "list_projects",
        "get_project",
        "list_project_members",
    ];
    for role in [None, Some(Role::Viewer), Some(Role::Collaborator), Some(Role::Owner)] {
        let world = World::new().await;
        let ada = world.person("ada");
        let acme = world.workspace(ada, "Acme").await.id;
        let project = world.project(ada, acme, "ABC", false).await.id;
        let other = world.joined(acme, "other", Role::Viewer).await;
        let user = world.person("user");
        if let Some(role) = role {
            world.join(acme, user, role, None).await;
        }
        for (command, refused) in try_everything(&world, user, acme, project, other).await {
            let expected = match role {
                None => Some(NotFound),
                Some(Role::Owner) if command == "get_invitation" => Some(NotFound),
                // The command before has removed the other member.
                Some(Role::Owner) if command == "transfer_ownership" => Some(Invalid),
                Some(Role::Owner) => None,
                Some(_) if viewer_may.contains(&command) => None,
                Some(Role::Collaborator) if command == "create_project" => None,
                Some(_) => Some(Forbidden),
            };
            assert_eq!(refused, expected, "{command} as {role:?}");
        }
    }
}

#[tokio::test]
async fn without_a_person_there_is_no_access() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    for caller in [world.nobody(), Caller::system(&world.clock, "job")] {
        assert_eq!(
            world.service.get_workspace(&caller, acme).await.expect_err("401").kind,
            ErrorKind::Unauthenticated
        );
    }
}

/// What SQL lists, what one question answers and what the role rule says are the same, over all combinations.
#[tokio::test]
async fn lists_single_answers_and_the_rule_agree() {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    let mut projects = Vec::new();
    let roles = [None, Some(Role::Viewer), Some(Role::Collaborator), Some(Role::Owner)];
    for (n, private) in [false, true].into_iter().enumerate() {
        projects.push((world.project(ada, acme, &format!("P{n}"), private).await.id, private));
    }
    let mut readers: HashMap<ProjectId, Vec<MemberSummary>> = HashMap::new();
    for workspace_role in [Role::Viewer, Role::Collaborator, Role::Owner] {
        for project_role in roles {
            let user = world
                .joined(acme, &format!("{workspace_role}-{project_role:?}"), workspace_role)
                .await;
            for (project, private) in &projects {
                if let Some(role) = project_role {
                    world
                        .service
                        .set_project_role(&world.caller(ada), *project, user, &no_match(), role, true)
                        .await
                        .expect("given");
                }
                let expected = effective_role(Some(workspace_role), project_role, *private);
                let context = format!("{workspace_role} {project_role:?} private={private}");
                assert_eq!(
                    world.access(*project, user).await.map(|access| access.role),
                    expected,
                    "one: {context}"
                );
                let listed = world
                    .service
                    .list_project_access(
                        &world.nobody().call(),
                        ListProjectAccess {
                            user_id: user,
                            workspace_id: Some(acme),
                        },
                    )
                    .await
                    .expect("a list");
                let found = listed.iter().find(|access| access.project_id == *project).map(|access| access.role);
                assert_eq!(found, expected, "list: {context}");
                let paged = world
                    .service
                    .list_projects(&world.caller(user), None, None, None, page(50, None))
                    .await
                    .expect("a page");
                let found = paged.items.iter().find(|item| item.project.id == *project).map(|item| item.role);
                assert_eq!(found, expected, "page: {context}");
                readers
                    .entry(*project)
                    .or_default()
                    .extend(expected.map(|role| MemberSummary { user_id: user, role }));
            }
        }
    }
    for (project, _) in &projects {
        let request = ListMembers {
            workspace_id: acme,
            project_id: Some(*project),
        };
        let mut members = world.service.list_members(&world.nobody().call(), request).await.expect("members");
        members.retain(|member| member.user_id != ada);
        members.sort_by_key(|member| member.user_id);
        let mut expected = readers.remove(project).unwrap_or_default();
        expected.sort_by_key(|member| member.user_id);
        assert_eq!(members, expected);
    }
}

#[tokio::test]
async fn another_workspaces_ids_are_nobodys_ids() {
    let world = World::new().await;
    let (ada, eve) = (world.person("ada"), world.person("eve"));
    let acme = world.workspace(ada, "Acme").await.id;
    let evil = world.workspace(eve, "Evil").await.id;
    let bob = world.joined(acme, "bob", Role::Viewer).await;
    let project = world.project(ada, acme, "ABC", false).await.id;
    let invitation = world
        .service
        .create_invitation(&world.caller(ada), acme, by_link(Role::Viewer, true))
        .await
        .expect("issued")
        .body;
    let caller = world.caller(eve);
    // Eve is owner of her own workspace; ids of the other one are unknown inside it.
    assert_eq!(
        code(world.service.get_member(&caller, evil, bob).await),
        "workspaces.member.not_found"
    );
    assert_eq!(
        code(world.service.get_invitation(&caller, evil, invitation.invitation.id).await),
        "workspaces.invitation.not_found"
    );
    assert_eq!(
        code(
            world
                .service
                .revoke_invitation(&caller, evil, invitation.invitation.id, &no_match())
                .await
        ),
        "workspaces.invitation.not_found"
    );
    let own = world.project(eve, evil, "EVL", false).await.id;
    assert_eq!(
        code(
            world
                .service
                .set_project_role(&caller, own, bob, &no_match(), Role::Viewer, true)
                .await
        ),
        "workspaces.member.not_found"
    );
    let request = ListMembers {
        workspace_id: evil,
        project_id: Some(project),
    };
    assert!(
        world
            .service
            .list_members(&world.nobody().call(), request)
            .await
            .expect("members")
            .is_empty()
    );
}
