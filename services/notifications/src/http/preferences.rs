//! `/v1/notifications/preferences`: one member per kind of notification.

use std::sync::Arc;

use axum::extract::State;
use platform::Caller;
use platform::db::Reply;
use platform::http::{Field, IfMatch, Patch, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TAG;
use crate::NotificationsService;
use crate::model::{Channels, Kind, Preferences};
use crate::service::preferences::ChangeChannels;
use crate::service::tag::tag;

/// Channels to switch; what is left out stays, `null` goes back to the default.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelsPatch {
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    in_app: Field<bool>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    email: Field<bool>,
}

impl ChannelsPatch {
    fn change(self, kind: Kind) -> ChangeChannels {
        let default = kind.default_channels();
        ChangeChannels {
            in_app: self.in_app.into_option().map(|value| value.unwrap_or(default.in_app)),
            email: self.email.into_option().map(|value| value.unwrap_or(default.email)),
        }
    }
}

macro_rules! preference_members {
    ($($field:ident $name:tt $kind:ident),+ $(,)?) => {
        /// What reaches the caller on which channel.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub struct PreferencesView {
            $(#[serde(rename = $name)] pub $field: Channels,)+
        }

        impl From<&Preferences> for PreferencesView {
            fn from(preferences: &Preferences) -> Self {
                Self { $($field: preferences.channels(Kind::$kind),)+ }
            }
        }

        /// Kinds to change: channels to switch, or `null` to go back to the default.
        #[derive(Debug, Default, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        #[schema(example = json!({"task.commented": {"email": false}, "task.created": {"in_app": true}}))]
        pub struct PreferencesPatch {
            $(#[serde(default, rename = $name)] #[schema(value_type = Option<ChannelsPatch>)] $field: Field<ChannelsPatch>,)+
        }

        impl PreferencesPatch {
            fn changes(self) -> Vec<(Kind, Option<ChangeChannels>)> {
                let members = [$((Kind::$kind, self.$field.into_option()),)+];
                members
                    .into_iter()
                    .filter_map(|(kind, member)| {
                        Some((kind, member?.map(|patch| patch.change(kind))))
                    })
                    .collect()
            }
        }
    };
}

preference_members! {
    task_mentioned "task.mentioned" TaskMentioned,
    task_assigned "task.assigned" TaskAssigned,
    tasks_imported "task.imported" TasksImported,
    task_overdue "task.overdue" TaskOverdue,
    task_due_soon "task.due_soon" TaskDueSoon,
    task_completed "task.completed" TaskCompleted,
    task_reopened "task.reopened" TaskReopened,
    task_commented "task.commented" TaskCommented,
    task_updated "task.updated" TaskUpdated,
    task_created "task.created" TaskCreated,
    member_invited "member.invited" MemberInvited,
    member_role_changed "member.role_changed" MemberRoleChanged,
    member_added "member.added" MemberAdded,
    member_removed "member.removed" MemberRemoved,
}

/// Read notification preferences
///
/// Every kind of notification with its channels, defaults included.
#[utoipa::path(
    get,
    path = "/v1/notifications/preferences",
    tag = TAG,
    operation_id = "getNotificationPreferences",
    responses((status = 200, description = "All kinds.", body = PreferencesView,
        headers(("ETag" = String, description = "Changes with the content"))))
)]
pub(crate) async fn get_preferences(
    State(service): State<Arc<NotificationsService>>,
    caller: Caller,
) -> Result<Reply<PreferencesView>, Problem> {
    let view = PreferencesView::from(&service.preferences(&caller).await?);
    let version = tag(&view);
    Ok(Reply::ok(view, version))
}

/// Change notification preferences
///
/// A JSON merge patch: kinds and channels that are left out stay as they are; `null` for a kind goes back to its default.
/// `member.invited` has no mail of its own, because the invitation is one already.
#[utoipa::path(
    patch,
    path = "/v1/notifications/preferences",
    tag = TAG,
    operation_id = "changeNotificationPreferences",
    request_body = PreferencesPatch,
    responses(
        (status = 200, description = "All kinds after the change.", body = PreferencesView,
            headers(("ETag" = String, description = "Changes with the content"))),
        (status = 412, description = "Changed since they were read.")
    )
)]
pub(crate) async fn change_preferences(
    State(service): State<Arc<NotificationsService>>,
    caller: Caller,
    if_match: IfMatch,
    Patch(patch): Patch<PreferencesPatch>,
) -> Result<Reply<PreferencesView>, Problem> {
    let changes = patch.changes();
    Ok(service
        .change_preferences(&caller, &if_match, changes, |preferences| PreferencesView::from(preferences))
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_read_and_changed() {
        let view = serde_json::to_value(PreferencesView::from(&Preferences::default())).expect("json");
        let all: serde_json::Map<_, _> = Kind::ALL
            .iter()
            .map(|kind| (kind.as_str().to_owned(), serde_json::json!({"in_app": false})))
            .collect();
        for kind in Kind::ALL {
            assert!(view.get(kind.as_str()).is_some(), "{kind:?}");
        }
        let patch: PreferencesPatch = serde_json::from_value(all.into()).expect("every kind is a member");
        assert_eq!(patch.changes().len(), Kind::ALL.len());
    }

    #[test]
    fn null_resets_and_absence_keeps() {
        let patch: PreferencesPatch = serde_json::from_value(
            serde_json::json!({"task.updated": null, "task.created": {"email": true}, "task.mentioned": {"email": null}}),
        )
        .expect("patch");
        assert_eq!(
            patch.changes(),
            vec![
                (
                    Kind::TaskMentioned,
                    Some(ChangeChannels {
                        in_app: None,
                        email: Some(true)
                    })
                ),
                (Kind::TaskUpdated, None),
                (
                    Kind::TaskCreated,
                    Some(ChangeChannels {
                        in_app: None,
                        email: Some(true)
                    })
                )
            ]
        );
    }
}
