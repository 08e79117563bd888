//! The OpenAPI 3.1 document, collected from the services' own route descriptions.

use serde_json::{Value, json};
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
             Beside the headers that are described every answer has those for browsers (`Content-Security-Policy`, \
             `Strict-Transport-Security`, `X-Content-Type-Options`, `X-Frame-Options`, `Referrer-Policy`, `Permissions-Policy`, \
             `Cross-Origin-*`), those of CORS where the origin is allowed, and `Content-Encoding` and `Vary` where it is compressed. \
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

/// What webhooks send: the requests in the other direction (OpenAPI 3.1, `webhooks`).
pub fn webhooks() -> Value {
    let header = |name: &str, description: &str, example: &str| json!({ "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" }, "example": example });
    json!({ "event": { "post": {
        "operationId": "receiveEvent",
        "tags": ["webhooks"],
        "summary": "An event of the workspace",
        "description": "Sent by Guildhall to the URL of a webhook, by the Standard Webhooks specification. Verify the signature over the raw body, \
            and drop repeats by `webhook-id`. Anything but 2xx is sent again, ten times over three days.",
        "security": [],
        "parameters": [
            header("webhook-id", "Id of the event, the same in every retry and replay.", "0199b1f0-3c5d-7e42-9c53-3f6f7f0d2a11"),
            header("webhook-timestamp", "When this attempt was made, in seconds since 1970.", "1763717400"),
            header(
                "webhook-signature",
                "`v1,` and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`; several, separated by spaces, \
                    while a secret is being rotated.",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
            ),
        ],
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/PublicEvent" } } },
        },
        "responses": {
            "2XX": { "description": "Taken; the body is kept for the log." },
            "410": { "description": "No more messages, please: the webhook is switched off." },
            "429": { "description": "Slow down: nothing is sent before `Retry-After`." },
        },
    } } })
}

/// The document of the API that this binary serves, without a running server or a database.
pub async fn document() -> kernel::Result<Value> {
    // Only the empty databases of the services lie there.
    let folder = tempfile::tempdir().map_err(kernel::Error::internal)?;
    let mut config = crate::config::Config::default();
    folder.path().clone_into(&mut config.server.data_dir);
    let app = crate::compose::App::build(&config, crate::compose::Parts::default()).await;
    app.map(|app| app.openapi())
}
