//! Use cases. HTTP handlers, due work, contract calls and the command line all come through here.

mod accounts;
mod administration;
mod api_keys;
mod audit;
mod external_identities;
mod hashing;
mod mails;
mod oidc;
mod passwords;
mod registration;
mod second_factor;
mod sessions;
mod setup;
mod sign_in;
mod signing;
mod throttling;
mod verification;

use std::sync::Arc;

use contracts::audit::{Action, Entry};
use contracts::identity::events::SessionsEnded;
use contracts::workspaces::Workspaces;
use kernel::ids::UserId;
use kernel::{Result, Timestamp};
use platform::db::{Db, Unit};
use platform::egress::Egress;
use platform::mail::Mailer;
use platform::seal::SealKey;
use platform::signals::Signal;
use platform::{Caller, Toolkit};

use crate::config::Config;
use crate::model::password::PasswordPolicy;
use crate::model::token::Keyring;
use crate::model::user::User;
use crate::store;
use crate::store::sessions::Which;

pub(crate) use accounts::ProfileChange;
pub(crate) use administration::ListUsers;
pub use administration::{CreateUser, CreatedUser};
pub(crate) use api_keys::CreateApiKey;
pub(crate) use audit::audit;
pub(crate) use external_identities::StepUp;
pub(crate) use mails::MailJob;
pub(crate) use oidc::{Answer, Begin, Begun, Finished};
pub(crate) use passwords::ChangePassword;
pub(crate) use registration::{Register, Registered};
pub(crate) use second_factor::{CHALLENGE_LIFE, SignInStep};
pub(crate) use sessions::SignedIn;
pub(crate) use setup::SetUp;
pub(crate) use signing::JWKS_MAX_AGE;

/// What identity must know of the installation as a whole.
#[derive(Clone)]
pub struct Installation {
    /// 256 random bits, the same on every replica, kept outside the database. Changing it signs everybody out.
    pub secret: [u8; 32],
    /// Where people reach the installation, without a trailing slash: `https://guildhall.example.org`.
    /// Also `iss` of access tokens.
    pub public_url: String,
}

/// Accounts, sessions and keys.
pub struct IdentityService {
    pub(crate) db: Db,
    pub(crate) config: Config,
    pub(crate) public_url: String,
    pub(crate) toolkit: Toolkit,
    pub(crate) keyring: Keyring,
    seal: SealKey,
    workspaces: Arc<dyn Workspaces>,
    mailer: Arc<dyn Mailer>,
    policy: PasswordPolicy,
    hasher: hashing::Hasher,
    signer: signing::Signer,
    throttle: throttling::Throttle,
    providers: oidc::Providers,
}

impl IdentityService {
    /// `workspaces` is asked where registration needs an invitation and before an account is deleted; `egress` calls sign-in
    /// providers and nothing else.
    pub fn new(
        db: Db,
        config: Config,
        installation: Installation,
        toolkit: Toolkit,
        workspaces: Arc<dyn Workspaces>,
        mailer: Arc<dyn Mailer>,
        egress: Arc<dyn Egress>,
    ) -> Arc<Self> {
        let keyring = Keyring::derive(&installation.secret);
        Arc::new(Self {
            policy: PasswordPolicy::new(&config.password, read_blocklist(&config)),
            hasher: hashing::Hasher::new(&config.password),
            signer: signing::Signer::default(),
            throttle: throttling::Throttle::new(&config.throttle),
            providers: oidc::Providers::new(&config.oidc, egress),
            public_url: installation.public_url.trim_end_matches('/').to_owned(),
            seal: SealKey::new(keyring.seal),
            keyring,
            db,
            config,
            toolkit,
            workspaces,
            mailer,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.toolkit.clock.now()
    }

    pub(crate) fn system(&self, request_id: &str) -> Caller {
        Caller::system(&*self.toolkit.clock, request_id.to_owned())
    }

    /// The signed-in person's row. The session was checked a moment ago, so the row can only be missing in a race.
    pub(crate) async fn get_me(&self, caller: &Caller) -> Result<User> {
        let user = store::users::find(&self.db, caller.user_id()?).await?;
        user.filter(User::is_active)
            .ok_or_else(|| kernel::Error::unauthenticated("auth.required", "Sign in to do this."))
    }

    /// Adds the end of sessions to `unit`; [`Self::announce_sessions`] after it was applied.
    async fn end_sessions(&self, unit: &mut Unit, user_id: UserId, which: Which, reason: &'static str, now: Timestamp) -> Result<()> {
        let session_ids = match which {
            Which::All => Vec::new(),
            Which::One(id) => vec![id],
            Which::AllBut(kept) => {
                let live = store::sessions::list(&self.db, user_id, now, 1_000, None).await?;
                let others: Vec<_> = live.into_iter().map(|session| session.id).filter(|id| *id != kept).collect();
                if others.is_empty() {
                    return Ok(());
                }
                others
            }
        };
        store::sessions::end(unit, user_id, which, reason, now);
        unit.record(
            Entry::of_account(user_id, Action::SessionsEnded)
                .with("reason", reason)
                .with("session_ids", Some(&session_ids).filter(|ids| !ids.is_empty())),
        );
        unit.emit(&SessionsEnded { user_id, session_ids });
        Ok(())
    }

    /// Makes every cache of this process look again; other nodes follow within their cache's few seconds.
    fn announce_sessions(&self, user_id: UserId) {
        self.toolkit.signals.publish(Signal::SessionsChanged(user_id));
    }
}

fn read_blocklist(config: &Config) -> Vec<String> {
    let Some(path) = &config.password.blocklist_file else {
        return Vec::new();
    };
    // `Config::validate` has refused an unreadable file before; one that vanished since is worth a warning, not a crash.
    match std::fs::read_to_string(path) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the password blocklist");
            Vec::new()
        }
    }
}

/// The same caller without its `Idempotency-Key`, for units that decide nothing about the reply. A reply outside of `/v1/auth` that
/// carries a secret takes [`Caller::keeping_no_reply`].
fn without_idempotency(caller: &Caller) -> Caller {
    Caller {
        idempotency: None,
        ..caller.clone()
    }
}
