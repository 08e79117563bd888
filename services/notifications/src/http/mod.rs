//! Routes: parse, call the service, render.

pub(crate) mod events;
pub(crate) mod inbox;
pub(crate) mod preferences;
pub(crate) mod settings;
pub(crate) mod subscriptions;
pub(crate) mod takeout;

use std::sync::Arc;

use kernel::FieldError;
use platform::http::OpenApiRouter;
use utoipa_axum::routes;

use crate::NotificationsService;

pub(crate) const TAG: &str = "notifications";

pub(crate) fn router(service: Arc<NotificationsService>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(inbox::list_notifications))
        .routes(routes!(inbox::count_unread))
        .routes(routes!(inbox::mark_read, inbox::mark_unread))
        .routes(routes!(inbox::mark_all_read))
        .routes(routes!(inbox::get_notification, inbox::dismiss_notification))
        .routes(routes!(preferences::get_preferences, preferences::change_preferences))
        .routes(routes!(settings::get_settings, settings::change_settings))
        .routes(routes!(subscriptions::list_subscriptions))
        .routes(routes!(
            subscriptions::get_project_subscription,
            subscriptions::subscribe_to_project,
            subscriptions::unsubscribe_from_project
        ))
        .routes(routes!(
            subscriptions::get_task_subscription,
            subscriptions::subscribe_to_task,
            subscriptions::unsubscribe_from_task
        ))
        .routes(routes!(events::stream_events))
        .with_state(service)
}

/// 1 to 200, 50 when left out.
fn page_size(limit: Option<u32>) -> kernel::Result<u32> {
    let limit = limit.unwrap_or(50);
    if (1..=200).contains(&limit) {
        return Ok(limit);
    }
    let mut error = kernel::Error::malformed("request.query_invalid", "The query parameter limit must be between 1 and 200.");
    error.fields = vec![FieldError::new("#query/limit", "out_of_range", "must be between 1 and 200")];
    Err(error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use platform::http::openapi;

    /// The description is complete, and says no more than the code accepts.
    #[tokio::test]
    async fn the_description_of_the_routes_is_complete() {
        let world = crate::tests::World::new().await;
        let (_, document) = super::router(world.service.clone()).split_for_parts();
        let document = openapi::complete(serde_json::to_value(document).expect("json"));
        assert_eq!(openapi::lint(&document), Vec::<String>::new());
        let names = |path: &str| -> BTreeSet<String> {
            let parameters = document["paths"][path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
            parameters
                .iter()
                .map(|parameter| {
                    format!(
                        "{} {}",
                        parameter["in"].as_str().unwrap_or_default(),
                        parameter["name"].as_str().unwrap_or_default()
                    )
                })
                .collect()
        };
        let expected = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(
            names("/v1/notifications"),
            expected(&[
                "query unread",
                "query workspace_id",
                "query kind",
                "query limit",
                "query cursor",
                "query include_total"
            ])
        );
        assert_eq!(
            names("/v1/events"),
            expected(&["query workspace_id", "query last_event_id", "header Last-Event-ID"])
        );
        assert_eq!(
            names("/v1/notifications/subscriptions"),
            expected(&["query level", "query subject", "query workspace_id", "query limit", "query cursor"])
        );
        let schemas = &document["components"]["schemas"];
        assert_eq!(
            schemas["PreferencesPatch"]["additionalProperties"], false,
            "{}",
            schemas["PreferencesPatch"]
        );
        for body in ["MarkAllRead", "NotificationSettingsPatch", "ChooseSubscription"] {
            assert_eq!(schemas[body]["additionalProperties"], false, "{body}");
        }
    }
}
