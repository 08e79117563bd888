//! Routes: parse, call the service, render.

mod deliveries;
mod webhooks;

use std::sync::Arc;

use kernel::{Error, FieldError, Result};
use platform::http::OpenApiRouter;
use utoipa_axum::routes;

use crate::WebhooksService;
use kernel::cursor::PageRequest;

pub(crate) const TAG: &str = "webhooks";

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

pub(crate) fn router(service: Arc<WebhooksService>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(webhooks::list_webhooks, webhooks::create_webhook))
        .routes(routes!(webhooks::get_webhook, webhooks::update_webhook, webhooks::delete_webhook))
        .routes(routes!(webhooks::rotate_secret))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(deliveries::get_delivery))
        .routes(routes!(deliveries::replay_delivery))
        .routes(routes!(deliveries::replay_failed))
        .with_state(service)
}

/// 400 for a limit out of bounds.
fn page_request(limit: Option<u32>, cursor: Option<String>) -> Result<PageRequest> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(PageRequest { limit, cursor });
    }
    Err(Error {
        fields: vec![FieldError::new("#query/limit", "out_of_range", "must be between 1 and 200")],
        ..Error::malformed("request.query_invalid", "The query parameter limit must be between 1 and 200.")
    })
}

#[cfg(test)]
mod tests {
    use platform::http::openapi;

    /// The description is complete, and its list of event types is the one the code accepts.
    #[tokio::test]
    async fn the_description_of_the_routes_is_complete() {
        let world = crate::tests::World::new().await;
        let (_, document) = super::router(world.service.clone()).split_for_parts();
        let document = openapi::complete(serde_json::to_value(document).expect("json"));
        assert_eq!(openapi::lint(&document), Vec::<String>::new());
        let schemas = &document["components"]["schemas"];
        let names = schemas["CreateWebhookRequest"]["properties"]["event_types"]["items"]["enum"].as_array();
        let names = names.expect("the event types are listed");
        for name in ["*", "task.*", "task.created", "member.added"] {
            assert!(names.contains(&name.into()), "{name} is missing");
        }
        assert!(!names.contains(&"notification.created".into()));
    }
}
