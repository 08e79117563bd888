//! Whom a log is shown to.

use contracts::audit::Log;
use contracts::workspaces::GetMembership;
use kernel::Result;
use kernel::ids::WorkspaceId;
use kernel::roles::Permission;
use platform::Caller;

use crate::AuditService;
use crate::error::AuditError;

/// A log that the caller may read. Only made by asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readable(Log);

impl Readable {
    pub const fn log(self) -> Log {
        self.0
    }
}

impl AuditService {
    /// 404 for strangers, 403 when the role is too low.
    pub(crate) async fn workspace_log(&self, caller: &Caller, workspace_id: WorkspaceId) -> Result<Readable> {
        let request = GetMembership {
            user_id: caller.user_id()?,
            workspace_id,
        };
        let membership = self.workspaces.get_membership(&caller.call(), request).await?;
        let membership = membership.ok_or(AuditError::WorkspaceNotFound)?;
        if membership.permits(Permission::AuditRead) {
            Ok(Readable(Log::Workspace(workspace_id)))
        } else {
            Err(AuditError::Forbidden.into())
        }
    }

    pub(crate) fn own_log(caller: &Caller) -> Result<Readable> {
        Ok(Readable(Log::Account(caller.user_id()?)))
    }

    pub(crate) fn installation_log(caller: &Caller) -> Result<Readable> {
        caller.user_id()?;
        if caller.instance_admin {
            Ok(Readable(Log::Installation))
        } else {
            Err(AuditError::AdminOnly.into())
        }
    }
}
