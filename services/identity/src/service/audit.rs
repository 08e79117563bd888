//! The trail of authentication: who, when, where, never a secret.

use kernel::ids::UserId;
use platform::Caller;

/// Logs one event under the target `auth`. `outcome` is `ok` or the reason of a refusal.
pub(crate) fn audit(caller: &Caller, event: &'static str, user_id: Option<UserId>, outcome: &str) {
    let subject = user_id.map(|id| id.to_string()).unwrap_or_default();
    let actor = caller.actor.user_id().map(|id| id.to_string()).unwrap_or_default();
    let refused = outcome != "ok";
    if refused {
        tracing::warn!(target: "auth", event, outcome, user_id = subject, actor_id = actor, client_ip = %caller.client_ip,
            user_agent = caller.user_agent.as_deref().unwrap_or_default(), request_id = %caller.request_id, at = %caller.now);
    } else {
        tracing::info!(target: "auth", event, outcome, user_id = subject, actor_id = actor, client_ip = %caller.client_ip,
            user_agent = caller.user_agent.as_deref().unwrap_or_default(), request_id = %caller.request_id, at = %caller.now);
    }
}
