//! Which notifications reach a person on which channel.

use kernel::{FieldError, Result};
use platform::Caller;
use platform::db::{DbError, Guard, Reply, Unit};
use platform::http::IfMatch;

use super::tag::tag;
use crate::NotificationsService;
use crate::model::{Channel, Channels, Kind, Preferences};
use crate::store::{preferences as store, settings};

/// A change of one kind; `None` as a whole goes back to the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChangeChannels {
    pub in_app: Option<bool>,
    pub email: Option<bool>,
}

impl NotificationsService {
    pub(crate) async fn preferences(&self, caller: &Caller) -> Result<Preferences> {
        Ok(store::preferences_of(&self.db, caller.user_id()?).await?)
    }

    pub(crate) async fn change_preferences<V, F>(
        &self,
        caller: &Caller,
        if_match: &IfMatch,
        changes: Vec<(Kind, Option<ChangeChannels>)>,
        render: F,
    ) -> Result<Reply<V>>
    where
        V: serde::Serialize + Send + 'static,
        F: Fn(&Preferences) -> V + Send + 'static,
    {
        let user_id = caller.user_id()?;
        let errors: Vec<FieldError> = changes
            .iter()
            .filter(|(kind, change)| !kind.offers(Channel::Email) && change.is_some_and(|change| change.email == Some(true)))
            .map(|(kind, _)| {
                let pointer = format!("/{}/email", kind.as_str());
                FieldError::new(
                    pointer,
                    "not_available",
                    "this kind has no mail of its own: the invitation is a mail already",
                )
            })
            .collect();
        if !errors.is_empty() {
            return Err(kernel::Error::invalid(errors));
        }
        let current = store::preferences_of(&self.db, user_id).await?;
        let mut unit = Unit::new(caller);
        settings::take_turn(&mut unit, user_id, caller.now);
        let found = store::read(&mut unit, user_id);
        for (kind, change) in changes {
            let Some(change) = change else {
                store::reset(&mut unit, user_id, kind);
                continue;
            };
            let before = current.channels(kind);
            let after = Channels {
                in_app: change.in_app.unwrap_or(before.in_app),
                email: change.email.unwrap_or(before.email),
            };
            if change.in_app.is_some() || change.email.is_some() {
                store::put(
                    &mut unit,
                    user_id,
                    kind,
                    after,
                    change.in_app.is_some(),
                    change.email.is_some(),
                    caller.now,
                );
            }
        }
        let rows = store::read(&mut unit, user_id);
        let if_match = if_match.clone();
        let reply = self
            .db
            .apply_reply(unit, move |out| {
                let found = tag(&render(&store::collect(out.take(&found))));
                if_match.check(found).map_err(|_| DbError::Guard(Guard::VERSION))?;
                let view = render(&store::collect(out.take(&rows)));
                let version = tag(&view);
                Ok(Reply::ok(view, version))
            })
            .await?;
        Ok(reply)
    }
}
