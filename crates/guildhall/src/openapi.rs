//! The OpenAPI 3.1 document, collected from the services' own route descriptions.

use utoipa::openapi::{ContactBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, ServerBuilder};

/// Title, licence and the introduction that readers of the document see first.
pub fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Guildhall")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The backend for a team's whole work: accounts, workspaces, projects, tasks, notifications, live events.\n\n\
             Errors are `application/problem+json` (RFC 9457) with a stable `code`. Lists are paged with opaque cursors. \
             `POST` and `PATCH` accept an `Idempotency-Key`. Changes honour `If-Match`. \
             Clients must ignore unknown fields and unknown values of enumerations.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("Guildhall")).build()))
        .license(Some(License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").description(Some("This server")).build()]))
        .build()
}

/// The document of the API that this binary serves, without a running server or a database.
pub async fn document() -> kernel::Result<serde_json::Value> {
    // Only the empty databases of the services lie there.
    let folder = tempfile::tempdir().map_err(kernel::Error::internal)?;
    let mut config = crate::config::Config::default();
    folder.path().clone_into(&mut config.server.data_dir);
    let app = crate::compose::App::build(&config, crate::compose::Parts::default()).await;
    app.map(|app| app.openapi())
}
