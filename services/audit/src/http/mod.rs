//! Routes: parse, call the service, render.

mod entries;
mod export;
mod query;

use std::sync::Arc;

use platform::http::OpenApiRouter;
use utoipa_axum::routes;

use crate::AuditService;

/// Its own scope opens it to API keys.
pub(crate) const TAG: &str = "audit-log";

pub(crate) fn router(service: Arc<AuditService>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(entries::list_workspace_log))
        .routes(routes!(export::export_workspace_log))
        .routes(routes!(entries::list_security_log))
        .routes(routes!(entries::list_installation_log))
        .routes(routes!(export::export_installation_log))
        .with_state(service)
}

#[cfg(test)]
mod tests {
    use platform::http::openapi;

    #[tokio::test]
    async fn the_description_of_the_routes_is_complete() {
        let world = crate::tests::World::new().await;
        let (_, document) = super::router(world.service.clone()).split_for_parts();
        let document = openapi::complete(serde_json::to_value(document).expect("json"));
        assert_eq!(openapi::lint(&document), Vec::<String>::new());
    }
}
