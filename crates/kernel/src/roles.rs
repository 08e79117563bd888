//! Roles and what they permit: one table, from which code, docs and tests are made.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Role in a workspace or project. Ordered: a later role may do all that an earlier one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Collaborator,
    Owner,
}

/// Role on the sales side (leads, calls, catalogue, orders). Held next to a [`Role`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SalesRole {
    Agent,
    Manager,
    Admin,
}

macro_rules! text_enum {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
        impl std::str::FromStr for $name {
            type Err = crate::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($text => Ok(Self::$variant),)+ other => Err(crate::Error::internal(format!("unknown {} {other:?}", stringify!($name)))) }
            }
        }
    };
}

text_enum!(Role { Viewer => "viewer", Collaborator => "collaborator", Owner => "owner" });
text_enum!(SalesRole { Agent => "agent", Manager => "manager", Admin => "admin" });

/// Everything that can be allowed or denied inside a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    WorkspaceRead,
    WorkspaceUpdate,
    WorkspaceDelete,
    WorkspaceTransfer,
    MemberList,
    MemberInvite,
    MemberUpdate,
    MemberRemove,
    ProjectCreate,
    ProjectRead,
    ProjectUpdate,
    ProjectDelete,
    ProjectMemberManage,
    TaskRead,
    TaskWrite,
    TaskDelete,
    CommentWrite,
    /// Delete or edit what somebody else wrote.
    CommentModerate,
    LabelManage,
    /// Make, change and delete views that others see.
    ViewShare,
    /// Send the workspace's events to other programs, and see what was sent.
    WebhookManage,
    /// Read and export who did what, from where.
    AuditRead,
    /// Erase what was deleted before its time.
    TrashPurge,
    /// Take everything of the workspace out at once.
    WorkspaceExport,
    LeadRead,
    LeadWrite,
    LeadAssign,
    SalesManage,
}

text_enum!(Permission {
    WorkspaceRead => "workspace.read",
    WorkspaceUpdate => "workspace.update",
    WorkspaceDelete => "workspace.delete",
    WorkspaceTransfer => "workspace.transfer",
    MemberList => "member.list",
    MemberInvite => "member.invite",
    MemberUpdate => "member.update",
    MemberRemove => "member.remove",
    ProjectCreate => "project.create",
    ProjectRead => "project.read",
    ProjectUpdate => "project.update",
    ProjectDelete => "project.delete",
    ProjectMemberManage => "project.member.manage",
    TaskRead => "task.read",
    TaskWrite => "task.write",
    TaskDelete => "task.delete",
    CommentWrite => "comment.write",
    CommentModerate => "comment.moderate",
    LabelManage => "label.manage",
    ViewShare => "view.share",
    WebhookManage => "webhook.manage",
    AuditRead => "audit.read",
    TrashPurge => "trash.purge",
    WorkspaceExport => "workspace.export",
    LeadRead => "lead.read",
    LeadWrite => "lead.write",
    LeadAssign => "lead.assign",
    SalesManage => "sales.manage",
});

impl Permission {
    /// The lowest workspace/project role that has this permission; `None` for the sales side.
    pub const fn minimum_role(self) -> Option<Role> {
        Some(match self {
            Self::WorkspaceRead | Self::MemberList | Self::ProjectRead | Self::TaskRead => Role::Viewer,
            Self::ProjectCreate | Self::TaskWrite | Self::TaskDelete | Self::CommentWrite | Self::LabelManage | Self::ViewShare => {
                Role::Collaborator
            }
            Self::WorkspaceUpdate
            | Self::WorkspaceDelete
            | Self::WorkspaceTransfer
            | Self::MemberInvite
            | Self::MemberUpdate
            | Self::MemberRemove
            | Self::ProjectUpdate
            | Self::ProjectDelete
            | Self::ProjectMemberManage
            | Self::CommentModerate
            | Self::WebhookManage
            | Self::AuditRead
            | Self::TrashPurge
            | Self::WorkspaceExport => Role::Owner,
            Self::LeadRead | Self::LeadWrite | Self::LeadAssign | Self::SalesManage => return None,
        })
    }

    /// The lowest sales role that has this permission; `None` for the workspace side.
    pub const fn minimum_sales_role(self) -> Option<SalesRole> {
        match self {
            Self::LeadRead | Self::LeadWrite => Some(SalesRole::Agent),
            Self::LeadAssign => Some(SalesRole::Manager),
            Self::SalesManage => Some(SalesRole::Admin),
            _ => None,
        }
    }
}

impl Role {
    pub fn permits(self, permission: Permission) -> bool {
        permission.minimum_role().is_some_and(|minimum| self >= minimum)
    }
}

impl SalesRole {
    pub fn permits(self, permission: Permission) -> bool {
        permission.minimum_sales_role().is_some_and(|minimum| self >= minimum)
    }
}

/// The role that counts inside a project.
///
/// A workspace owner is owner of every project: nobody can lock the owner out. Otherwise an
/// explicit project role replaces the workspace role, in either direction (a viewer may be
/// widened to collaborator, a collaborator narrowed to viewer). Without an explicit role the
/// workspace role counts, except in a private project, which only its own members see.
/// Without a workspace role there is no access at all: membership of the workspace comes first.
pub const fn effective_role(workspace: Option<Role>, project: Option<Role>, private: bool) -> Option<Role> {
    match (workspace, project) {
        (None, _) => None,
        (Some(Role::Owner), _) => Some(Role::Owner),
        (Some(_), Some(role)) => Some(role),
        (Some(role), None) => {
            if private {
                None
            } else {
                Some(role)
            }
        }
    }
}

/// The highest sales role that a member may give. A workspace owner stands above the sales side, so that an owner
/// who lost or never had a sales role can still appoint its first admin; anybody else gives at most their own.
pub const fn sales_ceiling(role: Role, sales_role: Option<SalesRole>) -> Option<SalesRole> {
    match role {
        Role::Owner => Some(SalesRole::Admin),
        Role::Collaborator | Role::Viewer => sales_role,
    }
}

/// Nobody grants above their own role, nor changes somebody who stands above them: ask it of the roles to be
/// given and of the roles held before. Says nothing of the permission to change roles at all.
pub fn may_grant(actor: (Role, Option<SalesRole>), given: (Role, Option<SalesRole>)) -> bool {
    // `None` sorts below every sales role.
    given.0 <= actor.0 && given.1 <= sales_ceiling(actor.0, actor.1)
}

/// The role tables of the documentation, made from the code that decides. Markdown.
pub fn markdown_tables() -> String {
    use std::fmt::Write as _;

    let mark = |allowed: bool| if allowed { "yes" } else { "-" };
    let mut out = String::from("### Workspace and project roles\n\n| permission | viewer | collaborator | owner |\n|---|---|---|---|\n");
    for permission in Permission::ALL.iter().filter(|p| p.minimum_role().is_some()) {
        let [viewer, collaborator, owner] = [Role::Viewer, Role::Collaborator, Role::Owner].map(|role| mark(role.permits(*permission)));
        let _ = writeln!(out, "| `{permission}` | {viewer} | {collaborator} | {owner} |");
    }
    out.push_str("\n### Sales roles\n\n| permission | agent | manager | admin |\n|---|---|---|---|\n");
    for permission in Permission::ALL.iter().filter(|p| p.minimum_sales_role().is_some()) {
        let [agent, manager, admin] = [SalesRole::Agent, SalesRole::Manager, SalesRole::Admin].map(|role| mark(role.permits(*permission)));
        let _ = writeln!(out, "| `{permission}` | {agent} | {manager} | {admin} |");
    }
    out.push_str("\n### The role that counts in a project\n\n| role in the workspace | role in the project | open project | private project |\n|---|---|---|---|\n");
    let roles = || std::iter::once(None).chain(Role::ALL.iter().copied().map(Some));
    let name = |role: Option<Role>| role.map_or("none", Role::as_str);
    for workspace in roles() {
        for project in roles() {
            let [open, private] = [false, true].map(|private| name(effective_role(workspace, project, private)));
            let _ = writeln!(out, "| {} | {} | {open} | {private} |", name(workspace), name(project));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn role() -> impl Strategy<Value = Role> {
        prop::sample::select(Role::ALL)
    }
    fn sales() -> impl Strategy<Value = Option<SalesRole>> {
        prop::option::of(prop::sample::select(SalesRole::ALL))
    }

    proptest! {
        #[test]
        fn without_workspace_membership_there_is_no_access(project in prop::option::of(role()), private: bool) {
            prop_assert_eq!(effective_role(None, project, private), None);
        }

        #[test]
        fn a_workspace_owner_is_never_locked_out(project in prop::option::of(role()), private: bool) {
            prop_assert_eq!(effective_role(Some(Role::Owner), project, private), Some(Role::Owner));
        }

        #[test]
        fn an_explicit_project_role_counts_for_everybody_else(
            workspace in prop::sample::select(&[Role::Viewer, Role::Collaborator][..]), project in role(), private: bool,
        ) {
            prop_assert_eq!(effective_role(Some(workspace), Some(project), private), Some(project));
        }

        #[test]
        fn privacy_only_ever_takes_away(workspace in prop::option::of(role()), project in prop::option::of(role())) {
            prop_assert!(effective_role(workspace, project, true) <= effective_role(workspace, project, false));
        }

        #[test]
        fn a_higher_role_may_do_all_that_a_lower_may(low in role(), high in role(), permission in prop::sample::select(Permission::ALL)) {
            prop_assume!(low <= high);
            prop_assert!(!low.permits(permission) || high.permits(permission));
        }

        #[test]
        fn each_permission_belongs_to_exactly_one_side(permission in prop::sample::select(Permission::ALL)) {
            prop_assert!(permission.minimum_role().is_some() != permission.minimum_sales_role().is_some());
        }

        #[test]
        fn nobody_grants_above_their_own_role(actor in (role(), sales()), given in (role(), sales())) {
            if may_grant(actor, given) {
                prop_assert!(given.0 <= actor.0);
                prop_assert!(actor.0 == Role::Owner || given.1 <= actor.1);
            }
        }

        #[test]
        fn granting_is_transitive(a in (role(), sales()), b in (role(), sales()), c in (role(), sales())) {
            // Power cannot be gained through an intermediary.
            // An `if`, not an assumption: few triples qualify, and proptest gives up when too many are rejected.
            if may_grant(a, b) && may_grant(b, c) {
                prop_assert!(may_grant(a, c));
            }
        }

        #[test]
        fn text_form_round_trips(role in role(), permission in prop::sample::select(Permission::ALL)) {
            prop_assert_eq!(role.as_str().parse::<Role>().ok(), Some(role));
            prop_assert_eq!(permission.as_str().parse::<Permission>().ok(), Some(permission));
        }
    }

    #[test]
    fn tables_name_every_permission_and_every_combination() {
        let tables = markdown_tables();
        for permission in Permission::ALL {
            assert_eq!(tables.matches(&format!("| `{permission}` |")).count(), 1, "{permission}");
        }
        assert!(tables.contains("| collaborator | viewer | viewer | viewer |"));
        assert!(tables.contains("| viewer | none | viewer | none |"));
        assert_eq!(tables.lines().filter(|line| line.starts_with("| owner | ")).count(), 4);
    }
}
