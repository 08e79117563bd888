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
            Self::ProjectCreate | Self::TaskWrite | Self::TaskDelete | Self::CommentWrite | Self::LabelManage => Role::Collaborator,
            Self::WorkspaceUpdate
            | Self::WorkspaceDelete
            | Self::WorkspaceTransfer
            | Self::MemberInvite
            | Self::MemberUpdate
            | Self::MemberRemove
            | Self::ProjectUpdate
            | Self::ProjectDelete
            | Self::ProjectMemberManage
            | Self::CommentModerate => Role::Owner,
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
