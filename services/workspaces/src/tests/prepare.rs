//! Every statement of the store, prepared.

use kernel::ids::InvitationId;

use super::*;
use crate::model::invitation::Claim;
use crate::model::{Invitation, InvitationState, InvitationToken, Project, ProjectMember, ProjectState, Standing, Workspace};
use crate::service::access::Scope;
use crate::store::workspaces::Headcount;
use crate::store::{invitations, members, project_members, projects, workspaces};

struct Rows {
    workspace: Workspace,
    member: Member,
    project: Project,
    project_member: ProjectMember,
    invitation: Invitation,
}

fn rows(clock: &FixedClock) -> Rows {
    let now = clock.now();
    let (workspace_id, project_id, user_id) = (WorkspaceId::generate(clock), ProjectId::generate(clock), UserId::generate(clock));
    Rows {
        workspace: Workspace {
            id: workspace_id,
            slug: "acme".into(),
            name: "Acme".into(),
            description: None,
            time_zone: "UTC".into(),
            strict_concurrency: false,
            default_role: Role::Viewer,
            owner_count: 1,
            member_count: 1,
            version: 2,
            created_by: user_id,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        },
        member: Member {
            workspace_id,
            user_id,
            role: Role::Owner,
            sales_role: Some(SalesRole::Agent),
            version: 1,
            invited_by: Some(user_id),
            created_at: now,
            updated_at: now,
        },
        project: Project {
            id: project_id,
            workspace_id,
            key: "ABC".into(),
            name: "Project".into(),
            description: None,
            private: false,
            version: 2,
            created_by: user_id,
            created_at: now,
            updated_at: now,
            archived_at: None,
            deleted_at: None,
            deleted_by: None,
        },
        project_member: ProjectMember {
            project_id,
            user_id,
            workspace_id,
            role: Role::Viewer,
            version: 1,
            created_at: now,
            updated_at: now,
        },
        invitation: Invitation {
            id: InvitationId::generate(clock),
            workspace_id,
            state: InvitationState::Pending,
            email: Some("ada@example.com".into()),
            role: Role::Viewer,
            sales_role: None,
            single_use: true,
            uses: 0,
            invited_by: user_id,
            claim: None,
            version: 2,
            expires_at: now,
            sent_at: None,
            created_at: now,
            updated_at: now,
        },
    }
}

#[tokio::test]
async fn the_engine_accepts_every_statement_of_the_store() {
    let clock = FixedClock::default();
    let now = clock.now();
    let rows = rows(&clock);
    let (workspace, project, user) = (rows.workspace.id, rows.project.id, rows.member.user_id);
    let scope = Scope::for_system(workspace);
    let token = InvitationToken::random();
    let guard = crate::error::LAST_OWNER;
    let standing = Standing {
        role: Role::Viewer,
        sales_role: None,
    };
    testkit::prepare_store(SCHEMA, env!("CARGO_MANIFEST_DIR"), async |db, unit| {
        for after in [None, Some((user, project))] {
            let _ = project_members::list_all(db, &scope, after, 1).await;
        }
        for before in [None, Some((now, project))] {
            let _ = projects::list(db, projects::restorable(user, workspace, now, before, 1)).await;
        }
        let _ = workspaces::find_with_member(db, workspace, user).await;
        let _ = workspaces::find(db, workspace).await;
        for select in [
            workspaces::of_person(user, false, None, 10),
            workspaces::of_person(user, true, Some(workspace), 10),
            workspaces::sole_owned(user, 10),
        ] {
            let _ = workspaces::list_of_person(db, select).await;
        }
        let _ = workspaces::count_created_by(db, user).await;
        let _ = workspaces::slug_taken(db, "acme").await;
        let _ = workspaces::list_purgeable(db, now, 10).await;
        workspaces::insert(unit, &rows.workspace);
        workspaces::update(unit, &scope, &rows.workspace);
        for (members, owners, deleted) in [(0, 1, false), (1, 0, false), (-1, -1, true)] {
            let change = Headcount {
                members,
                owners,
                max_members: 10,
                deleted,
            };
            workspaces::change_headcount(unit, &scope, change, guard);
        }
        workspaces::require_version(unit, &scope, 1, guard);
        workspaces::purge(unit, &scope, now);

        let _ = members::find(db, &scope, user).await;
        for select in [
            members::page(&scope, None, None, 10),
            members::page(&scope, Some(Role::Owner), Some((now, user)), 10),
        ] {
            let _ = members::list(db, select).await;
        }
        let _ = members::list_of_user(db, user, 10).await;
        members::insert(unit, &rows.member);
        members::set_standing(unit, &scope, &rows.member, standing, now);
        members::delete(unit, &scope, &rows.member, guard);
        members::require_role(unit, &scope, user, kernel::roles::Permission::WorkspaceRead, Role::Viewer, guard);
        members::purge(unit, &scope);

        let _ = projects::find_with_standing(db, project, user).await;
        let full = projects::Filter {
            workspace_id: Some(workspace),
            state: Some(ProjectState::Deleted),
            text: Some("a%".into()),
        };
        let states = [None, Some(ProjectState::Active), Some(ProjectState::Archived)].map(|state| projects::Filter {
            state,
            ..projects::Filter::default()
        });
        for filter in states.iter().chain([&full]) {
            for after in [None, Some(project)] {
                let _ = projects::list(db, projects::visible(user, filter, after, 10)).await;
            }
        }
        let _ = projects::count(db, &scope).await;
        let _ = projects::list_purgeable(db, now, 10).await;
        let _ = projects::list_of_workspace(db, &scope, 10).await;
        projects::insert(unit, &rows.project);
        projects::update(unit, &scope, &rows.project);
        projects::purge(unit, &scope, &[project]);
        projects::purge_deleted(unit, &scope, project, now);

        let _ = project_members::find(db, &scope, project, user).await;
        for after in [None, Some(user)] {
            let _ = project_members::list(db, &scope, project, after, 10).await;
        }
        let _ = project_members::find_audience(db, &scope, project, 10).await;
        project_members::insert(unit, &rows.project_member);
        project_members::set_role(unit, &scope, &rows.project_member, Role::Viewer, now);
        project_members::delete(unit, &scope, &rows.project_member);
        project_members::delete_of_user(unit, &scope, user);
        project_members::purge(unit, &scope, &[project]);

        let id = rows.invitation.id;
        let _ = invitations::find(db, &scope, id).await;
        let _ = invitations::find_by_token(db, token.hash()).await;
        for filter in [
            invitations::Filter::All,
            invitations::Filter::Open(now),
            invitations::Filter::Expired(now),
            invitations::Filter::Stored(InvitationState::Declined),
        ] {
            for after in [None, Some(id)] {
                let _ = invitations::list(db, &scope, filter, after, 10).await;
            }
        }
        let _ = invitations::count_open(db, &scope, now).await;
        let _ = invitations::list_old(db, now, 10).await;
        invitations::insert(unit, &rows.invitation, &token);
        invitations::release_expired(unit, &scope, "ada@example.com", now);
        invitations::renew(unit, &scope, &rows.invitation, &token);
        invitations::require_version(unit, &scope, &rows.invitation, guard);
        invitations::end(unit, &scope, id, InvitationState::Revoked, now);
        let claim = Claim {
            user_id: user,
            tag: token.hash(),
            at: now,
        };
        for claimed in [None, Some(claim.clone())] {
            let found = Invitation {
                claim: claimed,
                ..rows.invitation.clone()
            };
            invitations::accept(unit, &scope, &found, now);
            invitations::claim(unit, &scope, &found, &claim);
        }
        invitations::count_use(unit, &scope, id, now);
        invitations::delete_old(unit, &[id], now);
        invitations::purge(unit, &scope);
    })
    .await;
}
