//! What can be read by URI: `guildhall://tasks/ABC-123`.

use rmcp::model::{ErrorCode, ErrorData, ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::Value;

use super::call::{Caller, Refusal, resource, segment};

const JSON: &str = "application/json";

/// Every kind of resource, for clients that make URIs themselves.
pub fn templates() -> Vec<ResourceTemplate> {
    [
        (
            "guildhall://tasks/{task}",
            "task",
            "Task",
            "A task with its description, by key such as ABC-123 or by id.",
        ),
        (
            "guildhall://tasks/{task}/comments",
            "task-comments",
            "Comments on a task",
            "The first hundred comments on a task, oldest first.",
        ),
        ("guildhall://projects/{project_id}", "project", "Project", "A project, by id."),
        (
            "guildhall://workspaces/{workspace_id}",
            "workspace",
            "Workspace",
            "A workspace, by id.",
        ),
    ]
    .map(|(uri, name, title, text)| {
        ResourceTemplate::new(uri, name)
            .with_title(title)
            .with_description(text)
            .with_mime_type(JSON)
    })
    .into()
}

/// A page of the projects. Tasks are too many to be listed; the templates say how to name them.
pub async fn list(caller: &Caller<'_>, cursor: Option<String>) -> Result<ListResourcesResult, ErrorData> {
    let query: Vec<(&str, String)> = cursor.into_iter().map(|cursor| ("cursor", cursor)).collect();
    let page = match caller.get("/v1/projects", &query).await {
        Ok(page) => page,
        // To a key that may not read projects there are none.
        Err(refusal) if refusal.code() == "auth.scope_missing" => return Ok(ListResourcesResult::default()),
        Err(refusal) => return Err(error(&refusal)),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let projects = page["items"].as_array().into_iter().flatten().map(|project| {
        let uri = format!("guildhall://projects/{}", text(&project["id"]));
        Resource::new(uri, text(&project["key"]))
            .with_title(text(&project["name"]))
            .with_mime_type(JSON)
    });
    Ok(ListResourcesResult {
        next_cursor: page["next_cursor"].as_str().map(str::to_owned),
        ..ListResourcesResult::with_all_items(projects.collect())
    })
}

pub async fn read(caller: &Caller<'_>, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let unknown = || ErrorData::resource_not_found("There is no such resource; see resources/templates/list.", None);
    let (kind, rest) = resource(uri).ok_or_else(unknown)?;
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let (path, query) = match (kind.as_str(), rest.as_slice()) {
        ("tasks", [task]) => (format!("/v1/tasks/{}", task_id(caller, task).await?), vec![]),
        ("tasks", [task, "comments"]) => {
            let path = format!("/v1/tasks/{}/comments", task_id(caller, task).await?);
            (path, vec![("limit", "100".to_owned())])
        }
        ("projects" | "workspaces", [id]) => (format!("/v1/{kind}/{}", segment(id)), vec![]),
        _ => return Err(unknown()),
    };
    let found = caller.get(&path, &query).await.map_err(|refusal| error(&refusal))?;
    let contents = ResourceContents::text(found.to_string(), uri).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents]))
}

async fn task_id(caller: &Caller<'_>, named: &str) -> Result<String, ErrorData> {
    let id = caller.task_id(named).await.map_err(|refusal| error(&refusal))?;
    Ok(segment(&id))
}

/// Reading has no result that could carry an error, so the protocol's errors carry the API's.
fn error(refusal: &Refusal) -> ErrorData {
    let (detail, document) = (refusal.detail().to_owned(), Some(refusal.document.clone()));
    match refusal.status {
        404 => ErrorData::resource_not_found(detail, document),
        500.. => ErrorData::internal_error(detail, document),
        _ => ErrorData::new(ErrorCode::INVALID_REQUEST, detail, document),
    }
}
