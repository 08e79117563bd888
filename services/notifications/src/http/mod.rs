//! Routes: parse, call the service, render.

pub(crate) mod events;
pub(crate) mod inbox;
pub(crate) mod preferences;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
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
        .routes(routes!(events::stream_events))
        .with_state(service)
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
        let schemas = &document["components"]["schemas"];
        assert_eq!(
            schemas["PreferencesPatch"]["additionalProperties"], false,
            "{}",
            schemas["PreferencesPatch"]
        );
        assert_eq!(schemas["MarkAllRead"]["additionalProperties"], false);
    }
}
