//! Routes: parse, call the service, render.

mod invitations;
mod members;
mod project_members;
mod projects;
mod tokens;
mod workspaces;

use std::sync::Arc;

use kernel::{Error, Result};
use platform::http::OpenApiRouter;

use crate::WorkspacesService;
use kernel::cursor::PageRequest;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

type Service = axum::extract::State<Arc<WorkspacesService>>;

pub(crate) fn routes(service: Arc<WorkspacesService>) -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(workspaces::routes())
        .merge(members::routes())
        .merge(invitations::routes())
        .merge(tokens::routes())
        .merge(projects::routes())
        .merge(project_members::routes())
        .with_state(service)
}

/// 400 for a limit out of bounds.
fn page_request(limit: Option<u32>, cursor: Option<String>) -> Result<PageRequest> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(PageRequest { limit, cursor })
    } else {
        Err(Error::malformed("request.limit_out_of_range", "limit must lie between 1 and 200."))
    }
}
