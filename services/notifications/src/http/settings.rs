//! `/v1/notifications/settings`: each mail at once, or one a day.

use std::sync::Arc;

use axum::extract::State;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Field, IfMatch, Patch, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::TAG;
use crate::NotificationsService;
use crate::model::{DEFAULT_HOUR, EmailMode};
use crate::service::settings::ChangeSettings;
use crate::service::tag::tag;
use crate::service::views::SettingsView;

/// What to change; what is left out stays, `null` goes back to the default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email_mode": "daily", "digest_hour": 8}))]
pub struct NotificationSettingsPatch {
    /// `immediate`, the default: each mail at once. `daily`: one mail a day with all of them.
    #[serde(default)]
    #[schema(value_type = Option<EmailMode>)]
    email_mode: Field<EmailMode>,
    /// Hour of the day, in the caller's own time zone, at which the digest comes. 8 by default.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 23)]
    digest_hour: Field<i64>,
}

impl NotificationSettingsPatch {
    fn change(self) -> ChangeSettings {
        ChangeSettings {
            email_mode: self.email_mode.into_option().map(Option::unwrap_or_default),
            digest_hour: self
                .digest_hour
                .into_option()
                .map(|hour| hour.unwrap_or_else(|| DEFAULT_HOUR.into())),
        }
    }
}

/// Read how mails about notifications come
///
/// Each at once, or one a day. The preferences say which kinds are mailed at all.
#[utoipa::path(
    get,
    path = "/v1/notifications/settings",
    tag = TAG,
    operation_id = "getNotificationSettings",
    responses((status = 200, description = "The settings, defaults included.", body = SettingsView,
        headers(("ETag" = String, description = "Changes with the content"))))
)]
pub(crate) async fn get_settings(State(service): State<Arc<NotificationsService>>, caller: Caller) -> Result<Reply<SettingsView>, Problem> {
    let settings = service.settings(&caller).await?;
    let version = tag(&settings);
    Ok(Reply::ok(settings, version))
}

/// Change how mails about notifications come
///
/// A JSON merge patch. With `daily`, every notification that would have been mailed waits for one mail a day at `digest_hour` in the
/// time zone of the caller's profile: on the day the clocks skip that hour the mail comes as much later as they jump, on the day it
/// comes twice the mail comes at the first. There is at most one digest on a local day, and none without news; what was read in the
/// inbox meanwhile, or cannot be read by the caller any more, is left out. Back at `immediate`, what waits comes with one last digest.
#[utoipa::path(
    patch,
    path = "/v1/notifications/settings",
    tag = TAG,
    operation_id = "changeNotificationSettings",
    request_body = NotificationSettingsPatch,
    responses(
        (status = 200, description = "The settings after the change.", body = SettingsView,
            headers(("ETag" = String, description = "Changes with the content"))),
        (status = 412, description = "Changed since they were read.")
    )
)]
pub(crate) async fn change_settings(
    State(service): State<Arc<NotificationsService>>,
    caller: Caller,
    if_match: IfMatch,
    Patch(patch): Patch<NotificationSettingsPatch>,
) -> Result<Reply<SettingsView>, Problem> {
    Ok(service.change_settings(&caller, &if_match, patch.change()).await?)
}
