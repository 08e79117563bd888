//! The trail of authentication: who, when, where, never a secret. As lines of the log for the operator, and as entries of the
//! audit logs: an account's own, and the installation's for what concerns all of it.

use contracts::audit::{Action, Entry, Log};
use kernel::ids::UserId;
use platform::Caller;
use platform::db::Unit;

/// In the log of the installation, about an account. Without its address, which must go when the account goes.
pub(crate) fn of_installation(user_id: UserId, action: Action) -> Entry {
    Entry::new(Log::Installation, action, "account").id(user_id)
}

/// What the operator or an administrator did to an account: in its own log and in that of the installation.
pub(crate) fn record_administration(unit: &mut Unit, user_id: UserId, action: Action) {
    unit.record(Entry::of_account(user_id, action));
    unit.record(of_installation(user_id, action));
}

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
