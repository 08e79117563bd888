//! What can go wrong here, with stable codes.

use std::time::Duration;

use kernel::{Error, ErrorKind};
use platform::db::{DbError, Guard};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WorkspacesError {
    /// Unknown, deleted, or of a workspace that the caller is no member of: one answer for all three.
    #[error("There is no such workspace.")]
    WorkspaceNotFound,
    #[error("There is no such project.")]
    ProjectNotFound,
    #[error("There is no such member.")]
    MemberNotFound,
    #[error("There is no such invitation.")]
    InvitationNotFound,
    #[error("Your role in this workspace or project does not allow this.")]
    RoleTooLow,
    #[error("You cannot give a role above your own, nor change somebody who stands above you.")]
    AboveOwnRole,
    #[error("The invitation was made for another address.")]
    OtherAddress,
    #[error("The invitation is no longer valid.")]
    InvitationEnded,
    #[error("You are a member of this workspace already.")]
    AlreadyMember,
    #[error("This address belongs to a member already.")]
    AddressIsMember,
    #[error("An invitation that anybody may use cannot be declined.")]
    LinkNotDeclinable,
    #[error("The invitation was sent a moment ago.")]
    ResentTooSoon(Duration),
    #[error("The workspace has too many open invitations; revoke some first.")]
    TooManyInvitations,
    #[error("The workspace has as many projects as it can have.")]
    TooManyProjects,
    #[error("You have created as many workspaces as one person can.")]
    TooManyWorkspaces,
    #[error("The workspace is not deleted.")]
    WorkspaceNotDeleted,
    #[error("The project is not deleted.")]
    ProjectNotDeleted,
    #[error("The time to restore it is over.")]
    RestoreTimeOver,
}

impl From<WorkspacesError> for Error {
    fn from(error: WorkspacesError) -> Self {
        use WorkspacesError as E;
        let (kind, code) = match error {
            E::WorkspaceNotFound => (ErrorKind::NotFound, "workspaces.workspace.not_found"),
            E::ProjectNotFound => (ErrorKind::NotFound, "workspaces.project.not_found"),
            E::MemberNotFound => (ErrorKind::NotFound, "workspaces.member.not_found"),
            E::InvitationNotFound => (ErrorKind::NotFound, "workspaces.invitation.not_found"),
            E::RoleTooLow => (ErrorKind::Forbidden, "workspaces.role.too_low"),
            E::AboveOwnRole => (ErrorKind::Forbidden, "workspaces.role.above_own"),
            E::OtherAddress => (ErrorKind::Forbidden, "workspaces.invitation.other_address"),
            E::InvitationEnded => (ErrorKind::Gone, "workspaces.invitation.ended"),
            E::AlreadyMember => (ErrorKind::Conflict, "workspaces.member.exists"),
            E::AddressIsMember => (ErrorKind::Conflict, "workspaces.invitation.member_exists"),
            E::LinkNotDeclinable => (ErrorKind::Conflict, "workspaces.invitation.link"),
            E::ResentTooSoon(_) => (ErrorKind::RateLimited, "workspaces.invitation.resent_too_soon"),
            E::TooManyInvitations => (ErrorKind::Conflict, "workspaces.invitation.too_many"),
            E::TooManyProjects => (ErrorKind::Conflict, "workspaces.project.too_many"),
            E::TooManyWorkspaces => (ErrorKind::Conflict, "workspaces.workspace.too_many"),
            E::WorkspaceNotDeleted => (ErrorKind::Conflict, "workspaces.workspace.not_deleted"),
            E::ProjectNotDeleted => (ErrorKind::Conflict, "workspaces.project.not_deleted"),
            E::RestoreTimeOver => (ErrorKind::Gone, "workspaces.restore.too_late"),
        };
        let public = Error::new(kind, code, error.to_string());
        match error {
            E::ResentTooSoon(wait) => public.with_retry_after(wait),
            _ => public,
        }
    }
}

/// The rule that no workspace is without an owner, as the guard of the statement that keeps it.
pub(crate) const LAST_OWNER: Guard = Guard::conflict(
    "workspaces.owner.last",
    "The last owner cannot leave, be removed or be given a lower role; make somebody else owner first.",
);
pub(crate) const WORKSPACE_GONE: Guard = Guard::not_found("workspaces.workspace.not_found", "There is no such workspace.");
pub(crate) const MEMBER_GONE: Guard = Guard::not_found("workspaces.member.not_found", "There is no such member.");
pub(crate) const MEMBERS_FULL: Guard = Guard::conflict("workspaces.member.too_many", "The workspace has as many members as it can have.");
/// The actor lost the role that allowed the command between the check and the commit.
pub(crate) const ROLE_LOST: Guard = Guard {
    kind: ErrorKind::Forbidden,
    code: "workspaces.role.too_low",
    detail: "Your role in this workspace or project does not allow this.",
};
pub(crate) const INVITATION_ENDED: Guard = Guard {
    kind: ErrorKind::Gone,
    code: "workspaces.invitation.ended",
    detail: "The invitation is no longer valid.",
};

/// A unique violation that means "is a member already" in the unit at hand.
pub(crate) fn member_exists(error: DbError) -> Error {
    if error.is_unique() {
        WorkspacesError::AlreadyMember.into()
    } else {
        error.into()
    }
}
