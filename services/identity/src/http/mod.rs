pub(crate) fn routes(_: std::sync::Arc<crate::IdentityService>) -> utoipa_axum::router::OpenApiRouter {
    utoipa_axum::router::OpenApiRouter::new()
}
