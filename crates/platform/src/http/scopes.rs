//! Which scope of an API key a route asks for. One table, by the tags of the OpenAPI document: the document shows it, the
//! edge enforces it, and a route that it does not know is closed to keys.

use std::collections::HashMap;

use axum::extract::{MatchedPath, Request};
use http::Method;
use kernel::scopes::{Scope, ScopeSet};
use serde_json::Value;

use super::extract::Refused;

/// What people do in their own name, or what a key could outlive.
const FOR_PEOPLE: [&str; 5] = [
    "/v1/events",
    "/v1/invitations/{token}/acceptance",
    "/v1/invitations/{token}/decline",
    "/v1/workspaces/{workspace_id}/leave",
    "/v1/workspaces/{workspace_id}/transfer",
];

/// What is asked for through it asks for its own scopes.
const FOR_ANY_KEY: [&str; 1] = ["/mcp"];

/// Whom a route is open to, besides people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// Not to keys.
    People,
    AnyKey,
    Scope(Scope),
}

pub(super) fn opening(tag: &str, method: &str, path: &str) -> Opening {
    if FOR_PEOPLE.contains(&path) {
        return Opening::People;
    }
    if FOR_ANY_KEY.contains(&path) {
        return Opening::AnyKey;
    }
    // Nothing is written there; an evaluation is asked for with a body.
    match tag {
        "audit-log" => return Opening::Scope(Scope::AuditRead),
        "flag-evaluation" => return Opening::Scope(Scope::FlagsRead),
        _ => {}
    }
    // Members of projects stand among the projects; giving people roles is its own right.
    let tag = if path.contains("/members") { "members" } else { tag };
    let (read, write) = match tag {
        "workspaces" => (Scope::WorkspacesRead, Scope::WorkspacesWrite),
        "members" | "invitations" => (Scope::MembersRead, Scope::MembersWrite),
        "projects" => (Scope::ProjectsRead, Scope::ProjectsWrite),
        "tasks" | "comments" | "task-settings" | "views" => (Scope::TasksRead, Scope::TasksWrite),
        "notifications" => (Scope::NotificationsRead, Scope::NotificationsWrite),
        _ => return Opening::People,
    };
    Opening::Scope(if matches!(method, "get" | "head") { read } else { write })
}

/// What keys need, by path template and method.
#[derive(Debug, Clone, Default)]
pub struct ScopeTable(HashMap<String, Vec<(String, Opening)>>);

impl ScopeTable {
    /// From the routes of an OpenAPI document.
    pub fn of(document: &Value) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        Self(
            paths
                .map(|(path, item)| {
                    let operations = item.as_object().into_iter().flatten();
                    let openings = operations.filter_map(|(method, operation)| {
                        let tag = operation["tags"].get(0)?.as_str()?;
                        Some((method.to_uppercase(), opening(tag, method, path)))
                    });
                    (path.clone(), openings.collect())
                })
                .collect(),
        )
    }

    pub(super) fn check(&self, held: ScopeSet, request: &Request) -> Result<(), Refused> {
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        // HEAD is answered by the route of GET.
        let method = if request.method() == Method::HEAD {
            "GET"
        } else {
            request.method().as_str()
        };
        let routes = path.and_then(|path| self.0.get(path)).into_iter().flatten();
        let opening = routes.filter(|(name, _)| name == method).map(|(_, opening)| *opening).next();
        match opening {
            None | Some(Opening::People) => Err(Refused::KeyNotAllowed),
            Some(Opening::AnyKey) => Ok(()),
            Some(Opening::Scope(scope)) if held.permits(scope) => Ok(()),
            Some(Opening::Scope(scope)) => Err(Refused::ScopeMissing(scope)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_17_unknown_routes_and_those_for_people_are_closed_to_keys() {
        assert_eq!(opening("tasks", "get", "/v1/tasks"), Opening::Scope(Scope::TasksRead));
        assert_eq!(opening("tasks", "delete", "/v1/tasks/{task_id}"), Opening::Scope(Scope::TasksWrite));
        assert_eq!(
            opening("projects", "put", "/v1/projects/{project_id}/members/{user_id}"),
            Opening::Scope(Scope::MembersWrite)
        );
        for tag in ["auth", "me", "sessions", "users", "api-keys", "brand-new"] {
            assert_eq!(opening(tag, "get", "/v1/x"), Opening::People, "{tag}");
        }
        for path in FOR_PEOPLE {
            assert_eq!(opening("workspaces", "post", path), Opening::People, "{path}");
        }
    }
}
