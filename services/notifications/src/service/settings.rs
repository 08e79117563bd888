//! How a person gets the mails: each at once, or once a day.

use contracts::identity::GetUsers;
use kernel::ids::UserId;
use kernel::{CallContext, FieldError, Result};
use platform::Caller;
use platform::db::{DbError, Guard, Reply, Unit};
use platform::http::IfMatch;

use super::digest;
use super::tag::tag;
use super::views::SettingsView;
use crate::NotificationsService;
use crate::model::{DEFAULT_HOUR, EmailMode};
use crate::store::settings::{self as store, SettingsRow};

/// What to change; `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ChangeSettings {
    pub email_mode: Option<EmailMode>,
    pub digest_hour: Option<i64>,
}

impl NotificationsService {
    pub(crate) async fn settings(&self, caller: &Caller) -> Result<SettingsView> {
        let user_id = caller.user_id()?;
        let row = store::find(&self.db, user_id).await?;
        let time_zone = self.time_zone(&caller.call(), user_id).await?;
        Ok(view(row.as_ref(), time_zone))
    }

    /// A digest that is due already moves with its hour. After a change to mails at once, what waits comes with one last digest.
    pub(crate) async fn change_settings(&self, caller: &Caller, if_match: &IfMatch, change: ChangeSettings) -> Result<Reply<SettingsView>> {
        let user_id = caller.user_id()?;
        let hour = match change.digest_hour {
            None => None,
            Some(hour) => Some(u8::try_from(hour).ok().filter(|hour| *hour < 24).ok_or_else(|| {
                kernel::Error::invalid(vec![FieldError::new("/digest_hour", "out_of_range", "must be between 0 and 23")])
            })?),
        };
        let time_zone = self.time_zone(&caller.call(), user_id).await?;
        let before = store::find(&self.db, user_id).await?;
        let mut unit = Unit::new(caller);
        let found = if_match.require().is_ok().then(|| {
            store::take_turn(&mut unit, user_id, caller.now);
            store::read(&mut unit, user_id)
        });
        if change != ChangeSettings::default() {
            let mode = change.email_mode.unwrap_or_default();
            let named = (change.email_mode.is_some(), hour.is_some());
            store::put(
                &mut unit,
                user_id,
                (mode, named.0),
                (hour.unwrap_or(DEFAULT_HOUR), named.1),
                caller.now,
            );
        }
        if let (Some(hour), Some(before)) = (hour, before.filter(|before| before.next_digest_at.is_some())) {
            let moved = SettingsRow {
                digest_hour: hour,
                ..before
            };
            digest::reschedule(&mut unit, &moved, &time_zone, caller.now);
        }
        let row = store::read(&mut unit, user_id);
        let if_match = if_match.clone();
        let reply = self
            .db
            .apply_reply(unit, move |out| {
                if let Some(found) = found {
                    let found = view(out.take(&found).first(), time_zone.clone());
                    if_match.check(tag(&found)).map_err(|_| DbError::Guard(Guard::VERSION))?;
                }
                let settings = view(out.take(&row).first(), time_zone);
                let version = tag(&settings);
                Ok(Reply::ok(settings, version))
            })
            .await?;
        Ok(reply)
    }

    async fn time_zone(&self, ctx: &CallContext, user_id: UserId) -> Result<String> {
        let users = self.identity.get_users(ctx, GetUsers { ids: vec![user_id] }).await?;
        Ok(users.into_iter().next().map_or_else(|| "UTC".to_owned(), |user| user.time_zone))
    }
}

fn view(row: Option<&SettingsRow>, time_zone: String) -> SettingsView {
    SettingsView {
        email_mode: row.map_or_else(EmailMode::default, |row| row.email_mode),
        digest_hour: row.map_or(DEFAULT_HOUR, |row| row.digest_hour),
        time_zone,
        next_digest_at: row.and_then(|row| row.next_digest_at),
    }
}
