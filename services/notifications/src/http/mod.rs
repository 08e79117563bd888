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
