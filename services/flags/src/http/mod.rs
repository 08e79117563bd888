//! Routes: parse, call the service, render.

mod flags;
mod ofrep;

use std::sync::Arc;

use platform::http::OpenApiRouter;
use utoipa_axum::routes;

use crate::FlagsService;

pub(crate) fn router(service: Arc<FlagsService>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(flags::list_flags, flags::create_flag))
        .routes(routes!(flags::get_flag, flags::update_flag, flags::delete_flag))
        .routes(routes!(ofrep::evaluate_flag))
        .routes(routes!(ofrep::evaluate_flags))
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
        let bad = &document["paths"]["/ofrep/v1/evaluate/flags/{flag_key}"]["post"]["responses"]["400"]["content"];
        assert!(
            bad["application/json"].is_object() && bad["application/problem+json"].is_object(),
            "{bad}"
        );
    }
}
