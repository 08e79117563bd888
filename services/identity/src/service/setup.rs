//! The first administrator: a one-time code on the console instead of a default account.

use kernel::{ErrorKind, Result};
use platform::Caller;
use platform::db::{Guard, Unit};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::registration::{Register, email_taken};
use super::{IdentityService, SignedIn, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::token::{fold_code, random};
use crate::model::user::User;
use crate::store;

/// Two people used the code at the same moment.
const USED: Guard = Guard {
    kind: ErrorKind::Conflict,
    code: "identity.setup.done",
    detail: "The installation has an administrator already.",
};

#[derive(Debug)]
pub(crate) struct SetUp {
    pub(crate) code: SecretString,
    pub(crate) account: Register,
}

impl IdentityService {
    /// The code to print on the console, while there is no administrator. The same on every replica and after a restart
    /// until it is used. Only a nonce is stored; without the installation secret it yields nothing.
    pub async fn ensure_setup_code(&self) -> Result<Option<String>> {
        // A second round reads what another replica stored at the same moment.
        for _ in 0..3 {
            if store::users::has_admin(&self.db).await? {
                return Ok(None);
            }
            let mut unit = Unit::new(&self.system("identity.setup"));
            match store::setup::find(&self.db).await? {
                Some(code) if code.used_at.is_none() => {
                    return Ok(Some(self.keyring.setup_code(&code.nonce).expose_secret().to_owned()));
                }
                // The administrator it made is gone.
                Some(code) => store::setup::renew(&mut unit, &code.nonce, &random(), self.now()),
                None => store::setup::insert(&mut unit, &random(), self.now()),
            }
            match self.db.apply(unit).await {
                Err(error) if error.is_unique() => {}
                other => drop(other?),
            }
        }
        Ok(None)
    }

    /// Makes the first administrator, whatever the registration setting says.
    pub(crate) async fn set_up(&self, caller: &Caller, command: SetUp) -> Result<SignedIn> {
        let caller = without_idempotency(caller);
        let attempt = self.admit(&caller, "set-up code").await?;
        if store::users::has_admin(&self.db).await? {
            return Err(IdentityError::SetupDone.into());
        }
        let stored = store::setup::find(&self.db).await?.filter(|code| code.used_at.is_none());
        let given = fold_code(command.code.expose_secret());
        let matching = stored.filter(|stored| {
            let expected = fold_code(self.keyring.setup_code(&stored.nonce).expose_secret());
            bool::from(expected.as_bytes().ct_eq(given.as_bytes()))
        });
        let Some(stored) = matching else {
            audit(&caller, "set_up", None, "wrong code");
            return Err(IdentityError::SetupCodeInvalid.into());
        };
        let valid = self.validate_registration(&command.account)?;
        if store::users::find_by_email(&self.db, valid.email.as_str()).await?.is_some() {
            return Err(email_taken());
        }
        let hash = self.hasher.hash(&command.account.password).await?;
        let user = User {
            // Who reads the console needs no mail to be believed.
            email_verified: true,
            instance_admin: true,
            ..self.new_user(&caller, valid, Some(hash))
        };
        let mut unit = Unit::new(&caller);
        store::setup::consume(&mut unit, &stored.nonce, caller.now, USED);
        Self::insert_user(&mut unit, &user);
        let (session, refresh) = self.open_session(&mut unit, &caller, user.id);
        attempt.succeed(&mut unit);
        self.db.apply(unit).await?;
        audit(&caller, "set_up", Some(user.id), "ok");
        self.finish_sign_in(user, session, refresh, caller.now).await
    }
}
