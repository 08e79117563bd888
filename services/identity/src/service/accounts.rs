//! One's own account: profile, address, disabling, deleting.

use contracts::audit::{Action, Entry};
use contracts::identity::SoleOwnedWorkspaces;
use contracts::identity::events::{ProfileUpdated, UserDeactivated};
use contracts::workspaces::ListSoleOwned;
use kernel::{Error, FieldError, Result};
use platform::Caller;
use platform::db::{Guard, Reply, Unit};
use platform::http::IfMatch;
use secrecy::SecretString;

use super::audit::{of_installation, record_administration};
use super::{IdentityService, MailJob, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::email::EmailAddress;
use crate::model::profile::{DEFAULT_LOCALE, DEFAULT_TIME_ZONE, parse_locale, parse_name, parse_time_zone};
use crate::model::user::{User, UserStatus};
use crate::store;
use crate::store::sessions::Which;

/// Merge patch of one's own profile; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProfileChange {
    pub(crate) name: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) email: Option<String>,
    /// Demanded for a new address.
    pub(crate) current_password: Option<SecretString>,
    /// Demanded for a new address, of people with a second factor.
    pub(crate) code: Option<SecretString>,
}

/// Nobody else may manage the installation.
pub(super) const LAST_ADMIN: Guard = Guard::conflict("identity.admin.last", "The last administrator of the installation must stay.");

impl IdentityService {
    pub(crate) async fn change_profile<T, F>(
        &self,
        caller: &Caller,
        change: ProfileChange,
        if_match: &IfMatch,
        render: F,
    ) -> Result<Reply<T>>
    where
        T: serde::Serialize + Send + 'static,
        F: FnOnce(&User) -> T,
    {
        let user = self.get_me(caller).await?;
        if_match.check(user.version)?;
        let (changed, new_email) = Self::apply_change(&user, &change)?;
        if new_email.is_some() {
            let password = change
                .current_password
                .as_ref()
                .ok_or_else(|| Error::invalid_field("/current_password", "required", "is needed to change the e-mail address"))?;
            self.confirm_person(caller, &user, password, change.code.as_ref()).await?;
        }
        let profile_changed = changed.name != user.name || changed.time_zone != user.time_zone || changed.locale != user.locale;
        let changed = User {
            pending_email: new_email
                .as_ref()
                .map_or(changed.pending_email.clone(), |email| Some(email.as_str().to_owned())),
            updated_at: caller.now,
            version: user.version + 1,
            ..changed
        };
        let mut unit = Unit::new(caller);
        store::users::update(&mut unit, &changed, user.version, Guard::VERSION);
        if profile_changed {
            unit.emit(&ProfileUpdated {
                user_id: user.id,
                name: changed.name.clone(),
                time_zone: changed.time_zone.clone(),
                locale: changed.locale.clone(),
            });
            unit.record(
                Entry::of_account(user.id, Action::AccountUpdated)
                    .change("name", &user.name, &changed.name)
                    .change("time_zone", &user.time_zone, &changed.time_zone)
                    .change("locale", &user.locale, &changed.locale),
            );
        }
        if let Some(email) = &new_email {
            Self::schedule_mail(&mut unit, &MailJob::change_email(user.id, email), caller.now);
            unit.record(Entry::of_account(user.id, Action::EmailChangeRequested).with("email", email.as_str()));
            audit(caller, "email_change_requested", Some(user.id), "ok");
        }
        let (body, version) = (render(&changed), changed.version);
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::ok(body, version))).await?)
    }

    /// All field errors at once.
    fn apply_change(user: &User, change: &ProfileChange) -> Result<(User, Option<EmailAddress>)> {
        let mut errors: Vec<FieldError> = Vec::new();
        let mut changed = user.clone();
        if let Some(text) = &change.name
            && let Some(name) = parse_name(text, "/name", &mut errors)
        {
            changed.name = name;
        }
        if let Some(text) = &change.time_zone
            && let Some(zone) = parse_time_zone(text, "/time_zone", &mut errors)
        {
            changed.time_zone = zone;
        }
        if let Some(text) = &change.locale
            && let Some(locale) = parse_locale(text, "/locale", &mut errors)
        {
            changed.locale = locale;
        }
        let email = change
            .email
            .as_ref()
            .and_then(|text| EmailAddress::parse_field(text, "/email", &mut errors));
        // One's own address again calls a change off.
        let called_off = email.as_ref().is_some_and(|email| Some(email.as_str()) == user.email.as_deref());
        if called_off {
            changed.pending_email = None;
        }
        let email = email.filter(|_| !called_off);
        if errors.is_empty() {
            Ok((changed, email))
        } else {
            Err(Error::invalid(errors))
        }
    }

    /// Ends every session; a password reset by mail brings the account back.
    pub(crate) async fn disable_me(&self, caller: &Caller, password: &SecretString, code: Option<&SecretString>) -> Result<()> {
        let user = self.get_me(caller).await?;
        self.confirm_person(caller, &user, password, code).await?;
        self.deactivate(caller, &user, UserStatus::Disabled, None).await
    }

    /// For ever: personal data is erased, the id stays so that others' work keeps its author. Without `chosen` it is
    /// refused while others depend on a workspace that the person alone owns.
    pub(crate) async fn delete_me(
        &self,
        caller: &Caller,
        password: &SecretString,
        code: Option<&SecretString>,
        chosen: Option<SoleOwnedWorkspaces>,
    ) -> Result<()> {
        let user = self.get_me(caller).await?;
        self.confirm_password(caller, &user, password, "/current_password").await?;
        if chosen.is_none() {
            self.require_no_sole_owned(caller, &user).await?;
        }
        // Last, for a code is good once, and who is told of workspaces comes back.
        self.confirm_code(caller, &user, code).await?;
        self.deactivate(caller, &user, UserStatus::Deleted, chosen).await
    }

    async fn require_no_sole_owned(&self, caller: &Caller, user: &User) -> Result<()> {
        let request = ListSoleOwned { user_id: user.id };
        let workspaces = self.workspaces.list_sole_owned(&caller.call(), request).await?;
        if workspaces.is_empty() {
            return Ok(());
        }
        let list = workspaces
            .iter()
            .map(|workspace| {
                serde_json::json!({ "id": workspace.workspace_id, "name": workspace.name, "other_members": workspace.other_members })
            })
            .collect();
        Err(Error::from(IdentityError::SoleOwner).with_extension("workspaces", list))
    }

    /// Disables, locks or deletes; ends all sessions in the same unit.
    pub(super) async fn deactivate(
        &self,
        caller: &Caller,
        user: &User,
        status: UserStatus,
        sole_owned_workspaces: Option<SoleOwnedWorkspaces>,
    ) -> Result<()> {
        let deleted = status == UserStatus::Deleted;
        let version = user.version + 1;
        let inactive = User {
            status,
            updated_at: caller.now,
            version,
            ..if deleted { erased(user) } else { user.clone() }
        };
        let mut unit = Unit::new(&without_idempotency(caller));
        if user.instance_admin && user.is_active() {
            store::users::require_other_admin(&mut unit, user.id, LAST_ADMIN);
        }
        store::users::update(&mut unit, &inactive, user.version, Guard::VERSION);
        store::mail_tokens::delete_of_user(&mut unit, user.id);
        store::second_factors::delete_challenges(&mut unit, user.id);
        self.end_sessions(&mut unit, user.id, Which::All, status.as_str(), caller.now)
            .await?;
        if deleted {
            store::sessions::erase_traces(&mut unit, user.id);
            store::api_keys::delete_of_user(&mut unit, user.id);
            store::second_factors::delete_of_user(&mut unit, user.id);
            store::external_identities::delete_of_user(&mut unit, user.id);
        }
        unit.emit(&UserDeactivated {
            user_id: user.id,
            deleted,
            sole_owned_workspaces,
        });
        match status {
            // The account's own log goes with it.
            UserStatus::Deleted => unit.record(of_installation(user.id, Action::AccountDeleted)),
            UserStatus::Locked => record_administration(&mut unit, user.id, Action::AccountLocked),
            UserStatus::Disabled | UserStatus::Active => unit.record(Entry::of_account(user.id, Action::AccountDisabled)),
        }
        if let Some(email) = user.email.clone() {
            let job = MailJob::Deactivated { email, status };
            Self::schedule_mail(&mut unit, &job, caller.now);
        }
        self.db.apply(unit).await?;
        self.announce_sessions(user.id);
        audit(caller, status.as_str(), Some(user.id), "ok");
        Ok(())
    }

    pub(crate) async fn get_user(&self, caller: &Caller, id: kernel::ids::UserId) -> Result<User> {
        Self::authorise_admin(caller)?;
        Ok(store::users::find(&self.db, id).await?.ok_or(IdentityError::UserNotFound)?)
    }
}

fn erased(user: &User) -> User {
    User {
        email: None,
        email_verified: false,
        pending_email: None,
        name: "Deleted user".to_owned(),
        time_zone: DEFAULT_TIME_ZONE.to_owned(),
        locale: DEFAULT_LOCALE.to_owned(),
        password_hash: None,
        instance_admin: false,
        ..user.clone()
    }
}
