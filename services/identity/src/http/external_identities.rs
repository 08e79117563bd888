//! One's own accounts at sign-in providers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use kernel::Timestamp;
use kernel::cursor::Page;
use kernel::ids::ExternalIdentityId;
use platform::Caller;
use platform::http::{Body, OpenApiRouter, OptionalBody, Path, Problem};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::auth::{Delivery, check_delivery};
use super::oidc::{BegunView, check_targets};
use super::{Bounds, NO_STORE, Service};
use crate::model::external_identity::ExternalIdentity;
use crate::service::{Begin, IdentityService, StepUp};

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new()
        .routes(routes!(list_external_identities, begin_link))
        .routes(routes!(unlink))
}

/// An account at a sign-in provider that opens one's own.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ExternalIdentityView {
    id: ExternalIdentityId,
    /// As people know it.
    #[schema(example = "Example Corporation")]
    provider: String,
    #[schema(example = "https://id.example.org")]
    issuer: String,
    /// As the provider said when it was linked.
    #[schema(example = "ada@example.org")]
    email: Option<String>,
    created_at: Timestamp,
    /// The last sign-in with it.
    last_used_at: Option<Timestamp>,
}

impl ExternalIdentityView {
    pub(super) fn new(identity: &ExternalIdentity, service: &IdentityService) -> Self {
        Self {
            id: identity.id,
            provider: service.provider_name(&identity.issuer),
            issuer: identity.issuer.clone(),
            email: identity.email.clone(),
            created_at: identity.created_at,
            last_used_at: identity.last_used_at,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BeginLinkRequest {
    /// Id of the provider.
    #[schema(min_length = 1, max_length = 32, example = "corp")]
    provider: String,
    /// Demanded of people who have one; others must have signed in within ten minutes.
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 256)]
    current_password: Option<SecretString>,
    /// Demanded of people with a second factor.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40)]
    code: Option<SecretString>,
    #[serde(default)]
    delivery: Delivery,
    #[schema(min_length = 1, max_length = 500, example = "/app/profile")]
    return_to: Option<String>,
    #[schema(min_length = 1, max_length = 500)]
    redirect_uri: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UnlinkRequest {
    /// Demanded of people who have one; others must have signed in within ten minutes.
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 256)]
    current_password: Option<SecretString>,
    /// Demanded of people with a second factor.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40)]
    code: Option<SecretString>,
}

fn proof(password: Option<SecretString>, code: Option<SecretString>) -> kernel::Result<StepUp> {
    let mut bounds = Bounds::default();
    if let Some(password) = &password {
        bounds = bounds.password("/current_password", password);
    }
    bounds.optional_code(code.as_ref()).check()?;
    Ok(StepUp { password, code })
}

/// List one's own accounts at sign-in providers
///
/// Oldest first; twenty at most.
#[utoipa::path(get, path = "/v1/me/external-identities", tag = "me", operation_id = "listExternalIdentities",
    responses((status = 200, description = "All of them on one page", body = Page<ExternalIdentityView>)))]
async fn list_external_identities(State(service): Service, caller: Caller) -> Result<impl IntoResponse, Problem> {
    let identities = service.list_external_identities(&caller).await?;
    Ok(axum::Json(Page {
        items: identities
            .iter()
            .map(|identity| ExternalIdentityView::new(identity, &service))
            .collect(),
        next_cursor: None,
        total: None,
    }))
}

/// Begin to link an account at a sign-in provider
///
/// Goes on as a sign-in there does, and ends with the account linked instead of a new session. The session that began it must still
/// live then.
#[utoipa::path(post, path = "/v1/me/external-identities", tag = "me", operation_id = "beginLink",
    request_body(content = BeginLinkRequest,
        example = json!({"provider": "corp", "current_password": "seventeen wet herons", "delivery": "cookie", "return_to": "/app/profile"})),
    responses((status = 200, description = "Begun", body = BegunView), (status = 404, description = "No such provider"),
        (status = 403, description = "The sign-in is too long ago, or the page may not use the cookie"),
        (status = 409, description = "Twenty are linked already"), (status = 503, description = "The provider does not answer")))]
async fn begin_link(
    State(service): Service,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body<BeginLinkRequest>,
) -> Result<Response, Problem> {
    check_delivery(&service, &headers, body.delivery)?;
    check_targets(body.return_to.as_deref(), body.redirect_uri.as_deref())?;
    let proof = proof(body.current_password, body.code)?;
    let begin = Begin {
        provider: body.provider,
        redirect_uri: body.redirect_uri,
        return_to: body.return_to,
        invitation: None,
    };
    let begun = service.begin_link(&caller, begin, &proof).await?;
    Ok((NO_STORE, BegunView::answer(&begun, body.delivery)).into_response())
}

/// Unlink an account at a sign-in provider
///
/// Never the last way to sign in. Sessions that it opened go on.
#[utoipa::path(delete, path = "/v1/me/external-identities/{external_identity_id}", tag = "me", operation_id = "unlink",
    params(("external_identity_id" = ExternalIdentityId, Path)),
    request_body(content = Option<UnlinkRequest>, example = json!({"current_password": "seventeen wet herons"})),
    responses((status = 204, description = "Unlinked"), (status = 404, description = "No such account of the caller"),
        (status = 403, description = "The sign-in is too long ago"),
        (status = 409, description = "It is the last way to sign in")))]
async fn unlink(
    State(service): Service,
    caller: Caller,
    Path(id): Path<ExternalIdentityId>,
    OptionalBody(body): OptionalBody<UnlinkRequest>,
) -> Result<StatusCode, Problem> {
    let body = body.unwrap_or_default();
    service.unlink(&caller, id, &proof(body.current_password, body.code)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
