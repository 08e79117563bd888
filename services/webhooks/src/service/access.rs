//! Who may see and change webhooks: asked of workspaces.

use contracts::flags::EvaluateBoolean;
use contracts::workspaces::{GetMembership, GetProjectAccess, Membership};
use kernel::Result;
use kernel::ids::{ProjectId, WebhookId, WorkspaceId};
use kernel::roles::Permission;
use platform::Caller;

use crate::WebhooksService;
use crate::error::WebhooksError;
use crate::model::Webhook;
use crate::store;

/// The flag by which the operator withholds new webhooks from everybody, from some workspaces or from a share of them.
pub(crate) const OFFERED_FLAG: &str = "webhooks.creation";

impl WebhooksService {
    /// 404 for strangers, 403 when the role is too low. One permission for all: the log shows what was sent.
    pub(crate) async fn authorize(&self, caller: &Caller, workspace_id: WorkspaceId) -> Result<Membership> {
        let request = GetMembership {
            user_id: caller.user_id()?,
            workspace_id,
        };
        let membership = self.workspaces.get_membership(&caller.call(), request).await?;
        let membership = membership.ok_or(WebhooksError::WorkspaceNotFound)?;
        if membership.permits(Permission::WebhookManage) {
            Ok(membership)
        } else {
            Err(WebhooksError::Forbidden.into())
        }
    }

    /// 403 where the operator does not offer webhooks (yet). Those that are there go on.
    pub(crate) async fn require_offered(&self, caller: &Caller, workspace_id: WorkspaceId) -> Result<()> {
        let request = EvaluateBoolean {
            key: OFFERED_FLAG.to_owned(),
            default: true,
            user_id: Some(caller.user_id()?),
            workspace_id: Some(workspace_id),
        };
        if self.flags.evaluate_boolean(&caller.call(), request).await?.value {
            Ok(())
        } else {
            Err(WebhooksError::NotOffered.into())
        }
    }

    /// The webhook, for who may administer it.
    pub(crate) async fn webhook(&self, caller: &Caller, workspace_id: WorkspaceId, id: WebhookId) -> Result<(Webhook, Membership)> {
        let membership = self.authorize(caller, workspace_id).await?;
        let webhook = store::webhooks::find(&self.db, workspace_id, id).await?;
        Ok((webhook.ok_or(WebhooksError::WebhookNotFound)?, membership))
    }

    /// Whether the caller sees this project, and it is one of the workspace.
    pub(crate) async fn sees_project(&self, caller: &Caller, workspace_id: WorkspaceId, project_id: ProjectId) -> Result<bool> {
        let request = GetProjectAccess {
            user_id: caller.user_id()?,
            project_id,
        };
        let access = self.workspaces.get_project_access(&caller.call(), request).await?;
        Ok(access.is_some_and(|access| access.workspace_id == workspace_id))
    }
}
