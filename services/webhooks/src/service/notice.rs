//! Tells those who administer a workspace that one of its webhooks was switched off.

use contracts::identity::GetUsers;
use contracts::workspaces::ListMembers;
use kernel::ids::{UserId, WebhookId, WorkspaceId};
use kernel::roles::Permission;
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::db::Unit;
use platform::due::{Due, DueItem};
use platform::mail::{self, Mail};
use serde::{Deserialize, Serialize};

use super::webhooks::host;
use crate::WebhooksService;
use crate::model::{DisabledReason, Webhook};

/// [`Due::kind`].
pub(crate) const KIND: &str = "webhooks.disabled_notice";
/// Who can be asked for in one call to identity.
const PEOPLE_AT_ONCE: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    webhook_id: WebhookId,
    workspace_id: WorkspaceId,
    host: String,
    reason: DisabledReason,
    at: Timestamp,
}

pub(crate) fn due(webhook: &Webhook, reason: DisabledReason, now: Timestamp) -> Due {
    let notice = Notice {
        webhook_id: webhook.id,
        workspace_id: webhook.workspace_id,
        host: host(webhook),
        reason,
        at: now,
    };
    Due {
        kind: KIND,
        key: Some(webhook.id.to_string()),
        // Ids and text always serialise.
        payload: serde_json::to_value(notice).unwrap_or_default(),
        run_at: now,
    }
}

impl Notice {
    fn mail(&self, user_id: UserId, to: String) -> Mail {
        let why = match self.reason {
            DisabledReason::Gone => "its receiver answered 410 Gone, which asks for no more messages",
            DisabledReason::Failing => "nothing could be delivered to it for days",
            DisabledReason::ProjectDeleted => "the project whose events it wanted was deleted for ever",
            DisabledReason::Manual => "somebody switched it off",
        };
        Mail {
            to,
            subject: format!("The webhook to {} was switched off", self.host),
            text: format!(
                "Hello,\n\nnothing is sent any more to the webhook to {}: {why}.\n\n\
                 Once the receiver works again, enable the webhook; messages that failed can then be replayed. \
                 What happens while it is off is not kept for it.\n\n\
                 Webhook: {}\nWorkspace: {}\n",
                self.host, self.webhook_id, self.workspace_id
            ),
            html: None,
            message_id: format!("webhook-disabled-{}-{}-{user_id}", self.webhook_id, self.at.as_micros()),
        }
    }
}

impl WebhooksService {
    /// Schedules a mail to each of them. The key of a mail is made of what it is about, so a repeated run adds none.
    pub(crate) async fn send_notice(&self, item: &DueItem) -> Result<()> {
        let notice: Notice = serde_json::from_value(item.payload.clone()).map_err(Error::internal)?;
        let caller = Caller::system(&*self.toolkit.clock, item.request_id.clone());
        let request = ListMembers {
            workspace_id: notice.workspace_id,
            project_id: None,
        };
        let members = self.workspaces.list_members(&caller.call(), request).await?;
        let ids: Vec<UserId> = members
            .into_iter()
            .filter(|member| member.role.permits(Permission::WebhookManage))
            .map(|member| member.user_id)
            .collect();
        let mut unit = Unit::new(&caller);
        for ids in ids.chunks(PEOPLE_AT_ONCE) {
            let users = self.identity.get_users(&caller.call(), GetUsers { ids: ids.to_vec() }).await?;
            for user in users.into_iter().filter(|user| user.active) {
                unit.schedule(mail::due(&notice.mail(user.id, user.email), caller.now));
            }
        }
        self.db.apply(unit).await?;
        Ok(())
    }
}
