//! The secrets of a webhook: the current one, and those that were replaced and sign on for a while.

use contracts::audit::Action;
use kernel::ids::{WebhookId, WorkspaceId};
use kernel::{Result, Timestamp};
use platform::Caller;
use platform::db::Reply;
use platform::http::IfMatch;

use super::views::WebhookWithSecretView;
use super::webhooks::entry;
use crate::WebhooksService;
use crate::error::WebhooksError;
use crate::model::{MAX_OLD_SECRETS, OldSecret, SigningSecret, Webhook};
use crate::store;

/// Place of a webhook's secrets, for [`platform::seal::SealKey`]. The same for all of them, so that one that is replaced is kept
/// as it is sealed.
fn secret_context(id: WebhookId) -> String {
    format!("webhooks.secret/{id}")
}

impl WebhooksService {
    pub(super) fn seal(&self, id: WebhookId, secret: &SigningSecret) -> Result<String> {
        self.seal_key.seal(secret.bytes(), &secret_context(id))
    }

    /// Those that sign besides the current one, the newest first. Seldom there are any, and then the database is not asked.
    pub(super) async fn old_secrets(&self, webhook: &Webhook, now: Timestamp) -> Result<Vec<OldSecret>> {
        if webhook.old_secret_expires_at.is_none_or(|end| end <= now) {
            return Ok(Vec::new());
        }
        Ok(store::secrets::list_live(&self.db, webhook.id, now).await?)
    }

    /// The secrets that sign, the current one first. An old one that does not open is left out, so that a rotation mends
    /// a webhook whose secret was sealed under another installation secret.
    pub(super) fn signing_secrets(&self, webhook: &Webhook, old: &[OldSecret]) -> Result<Vec<SigningSecret>> {
        let context = secret_context(webhook.id);
        let open = |sealed: &str| self.seal_key.open(sealed, &context).map(SigningSecret::from_bytes);
        let mut secrets = vec![open(&webhook.secret)?];
        secrets.extend(old.iter().filter_map(|old| open(&old.secret).ok()));
        Ok(secrets)
    }

    /// Every secret that is replaced signs until its own end, so receivers can change over without losing a message, and whoever
    /// missed an answer can rotate again without taking away the secret that the receiver still has. With `expire_old` none
    /// signs any more but the new one: a secret leaked.
    pub(crate) async fn rotate_secret(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        id: WebhookId,
        if_match: &IfMatch,
        expire_old: bool,
    ) -> Result<Reply<WebhookWithSecretView>> {
        let (mut webhook, membership) = self.webhook(caller, workspace_id, id).await?;
        if_match.check_or_require(webhook.version, membership.strict_concurrency)?;
        let old = self.old_secrets(&webhook, caller.now).await?;
        let first_end = old.iter().map(|old| old.expires_at).min();
        if let Some(until) = first_end.filter(|_| !expire_old && old.len() >= MAX_OLD_SECRETS) {
            return Err(WebhooksError::TooManySecrets { until }.into());
        }
        let secret = SigningSecret::random();
        let sealed = self.seal(id, &secret)?;
        let replaced = OldSecret {
            webhook_id: id,
            version: webhook.version + 1,
            secret: std::mem::replace(&mut webhook.secret, sealed),
            expires_at: caller.now.plus(self.config.secret_overlap()),
        };
        let last_end = old.iter().map(|old| old.expires_at).fold(replaced.expires_at, Timestamp::max);
        webhook.old_secret_expires_at = (!expire_old).then_some(last_end);
        let entry = entry(&webhook, Action::WebhookSecretRotated)
            .changed("secret")
            .with("expire_old_secrets", expire_old.then_some(true));
        // After the guarded change of the webhook, so that of two rotations at once the second finds what the first has left.
        let mut unit = Self::change(caller, &mut webhook, vec!["secret".to_owned()], entry);
        if expire_old {
            store::secrets::delete_all(&mut unit, id);
        } else {
            store::secrets::delete_ended(&mut unit, id, caller.now);
            store::secrets::insert(&mut unit, &replaced);
        }
        let reply = self.answer_change(unit, &webhook, caller.now).await?;
        Ok(Reply {
            status: reply.status,
            location: reply.location,
            version: reply.version,
            body: WebhookWithSecretView {
                webhook: reply.body,
                secret: Some(secret.shown()),
            },
        })
    }
}
