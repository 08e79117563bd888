//! One's own sessions.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use kernel::cursor::Page;
use kernel::ids::SessionId;
use platform::Caller;
use platform::http::{OpenApiRouter, Path, Problem, Query as QueryString};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::views::SessionView;
use super::{Service, page_limit};
use crate::service::IdentityService;

pub(super) fn routes() -> OpenApiRouter<Arc<IdentityService>> {
    OpenApiRouter::new().routes(routes!(list_sessions)).routes(routes!(end_session))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListSessionsQuery {
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    cursor: Option<String>,
}

/// List one's own sessions
///
/// Live ones, newest first.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", operation_id = "listSessions", params(ListSessionsQuery),
    responses((status = 200, description = "A page", body = Page<SessionView>)))]
async fn list_sessions(
    State(service): Service,
    caller: Caller,
    QueryString(query): QueryString<ListSessionsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let current = caller.session_id()?;
    let limit = page_limit(query.limit)?;
    let page = service.list_sessions(&caller, limit, query.cursor.as_deref()).await?;
    Ok(axum::Json(page.map(|session| SessionView::new(&session, current))))
}

/// End a session
///
/// One's own, on whatever device; access with it is refused within seconds.
#[utoipa::path(delete, path = "/v1/sessions/{session_id}", tag = "sessions", operation_id = "endSession",
    params(("session_id" = SessionId, Path)),
    responses((status = 204, description = "Ended"), (status = 404, description = "No such live session of the caller")))]
async fn end_session(State(service): Service, caller: Caller, Path(id): Path<SessionId>) -> Result<StatusCode, Problem> {
    service.end_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
