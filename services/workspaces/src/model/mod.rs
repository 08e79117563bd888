//! Tenants, members, projects and invitations: what they are and the rules that need no database.

pub(crate) mod fields;
pub(crate) mod invitation;
pub(crate) mod project;
pub(crate) mod workspace;

pub(crate) use fields::Fields;
pub(crate) use invitation::{Invitation, InvitationState, InvitationToken};
pub(crate) use project::{Project, ProjectMember, ProjectState};
pub(crate) use workspace::{Member, Standing, Workspace};
