//! Which operations of the API are tools, as data, and what becomes of them with the OpenAPI document.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use rmcp::model::{Tool as Described, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::schema;

/// What a call does to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    /// Makes something new each time.
    Adds,
    /// Takes the place of what was there; the same call again changes nothing more.
    Changes,
    /// As above, and what was there is not lost.
    Marks,
}
use Effect::{Adds, Changes, Marks, Reads};

struct Entry {
    name: &'static str,
    title: &'static str,
    /// For a model that has to choose.
    description: &'static str,
    operation: &'static str,
    effect: Effect,
    /// Arguments that must be given, besides those the operation demands.
    required: &'static [&'static str],
    /// Query parameters with a value of ours instead of the caller's.
    fixed: &'static [(&'static str, &'static str)],
    /// Query parameters that are not offered.
    hidden: &'static [&'static str],
}

const fn entry(name: &'static str, title: &'static str, operation: &'static str, effect: Effect, description: &'static str) -> Entry {
    Entry {
        name,
        title,
        description,
        operation,
        effect,
        required: &[],
        fixed: &[],
        hidden: &[],
    }
}

/// Lists answer what one chooses by; descriptions, which may be long, are read one by one.
const BRIEF: &str = "key,title,status,state_id,priority,due_date,due_at,assignee_ids,label_ids,parent_id,project_id,workspace_id,comment_count,\
                     subtask_count,subtask_done_count,version,updated_at,completed_at,archived_at";
/// A context is dearer than a request.
const SHORT_PAGE: (&str, &str) = ("limit", "25");
const HIDDEN_IN_LISTS: &[&str] = &["expand", "deleted"];

const ENTRIES: &[Entry] = &[
    entry(
        "list_workspaces",
        "List workspaces",
        "listWorkspaces",
        Reads,
        "Lists the workspaces you belong to. Start here to learn workspace ids.",
    ),
    entry(
        "list_members",
        "List members",
        "listMembers",
        Reads,
        "Lists the people of a workspace with their roles. Use it to find the user id of somebody to assign.",
    ),
    Entry {
        fixed: &[SHORT_PAGE],
        ..entry(
            "list_projects",
            "List projects",
            "listProjects",
            Reads,
            "Lists projects, with their ids and keys (`ABC` in `ABC-123`). `q` searches the name or matches the key.",
        )
    },
    entry(
        "get_project",
        "Read a project",
        "getProject",
        Reads,
        "Reads one project: name, description, your role in it.",
    ),
    entry(
        "list_states",
        "List workflow states",
        "listStates",
        Reads,
        "Lists the workflow states of a workspace; a task is moved by setting its `state_id`.",
    ),
    entry(
        "list_labels",
        "List labels",
        "listLabels",
        Reads,
        "Lists the labels of a workspace with their ids.",
    ),
    Entry {
        fixed: &[SHORT_PAGE, ("fields", BRIEF)],
        hidden: &["q", "expand", "deleted"],
        ..entry(
            "list_tasks",
            "List tasks",
            "listTasks",
            Reads,
            "Lists tasks across all projects by filters such as `assignee: [\"me\"]`, `status: [\"open\", \"in_progress\"]` or `due_before`. \
             Without descriptions; read those with get_task. To look for words use search_tasks.",
        )
    },
    Entry {
        required: &["q"],
        fixed: &[SHORT_PAGE, ("fields", BRIEF)],
        hidden: HIDDEN_IN_LISTS,
        ..entry(
            "search_tasks",
            "Search tasks",
            "listTasks",
            Reads,
            "Full-text search over titles and descriptions of all tasks you can see; `q` may also be a key such as ABC-123. Takes the filters of list_tasks.",
        )
    },
    Entry {
        hidden: &["expand"],
        ..entry(
            "get_task",
            "Read a task",
            "getTask",
            Reads,
            "Reads one task with its description and its `version`.",
        )
    },
    entry(
        "create_task",
        "Create a task",
        "createTask",
        Adds,
        "Creates a task in a project. Only `project_id` and `title` are needed.",
    ),
    entry(
        "update_task",
        "Change a task",
        "updateTask",
        Changes,
        "Changes fields of a task; what is left out stays, `null` clears. Lists such as `assignee_ids` replace the present ones. Give the `version` you read so \
         that somebody else's change is not overwritten.",
    ),
    entry(
        "complete_task",
        "Complete a task",
        "completeTask",
        Marks,
        "Marks a task as done. The next one of a recurring task appears by itself.",
    ),
    entry(
        "reopen_task",
        "Reopen a task",
        "reopenTask",
        Marks,
        "Marks a done or cancelled task as open again.",
    ),
    Entry {
        fixed: &[SHORT_PAGE],
        ..entry(
            "list_comments",
            "List comments",
            "listComments",
            Reads,
            "Lists the comments on a task, oldest first.",
        )
    },
    entry(
        "add_comment",
        "Comment on a task",
        "createComment",
        Adds,
        "Writes a comment on a task, in Markdown. `@[Name](user:UUID)` mentions a member, who is notified.",
    ),
];

/// A query parameter.
#[derive(Debug)]
pub struct QueryParameter {
    pub name: String,
    /// Ours, when the caller gives none or may give none.
    pub fixed: Option<&'static str>,
}

/// A tool that can be called.
#[derive(Debug)]
pub struct Tool {
    pub described: Described,
    pub method: Method,
    /// `/v1/tasks/{task_id}`.
    pub path: String,
    pub in_path: Vec<String>,
    pub in_query: Vec<QueryParameter>,
    pub in_body: BTreeSet<String>,
    /// The argument `version` becomes `If-Match`.
    pub versioned: bool,
}

/// Every tool. An operation that the document does not have is left out; a test holds the table to the document.
pub fn tools(document: &Value) -> Vec<Tool> {
    ENTRIES.iter().filter_map(|entry| tool(entry, document)).collect()
}

#[cfg(test)]
pub fn names() -> Vec<&'static str> {
    ENTRIES.iter().map(|entry| entry.name).collect()
}

fn tool(entry: &Entry, document: &Value) -> Option<Tool> {
    let (path, method, operation) = find(document, entry.operation)?;
    let mut properties = Map::new();
    let mut required: Vec<String> = entry.required.iter().map(|name| (*name).to_owned()).collect();
    let (mut in_path, mut in_query, mut versioned) = (Vec::new(), Vec::new(), false);
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str()?.to_owned();
        match parameter["in"].as_str()? {
            "path" => {
                properties.insert(name.clone(), path_argument(&name, parameter, document));
                required.push(name.clone());
                in_path.push(name);
            }
            "query" => {
                let fixed = entry.fixed.iter().find(|(fixed, _)| *fixed == name).map(|(_, value)| *value);
                // A page may be asked for in another length; other fixed values stay.
                if !entry.hidden.contains(&name.as_str()) && (fixed.is_none() || name == SHORT_PAGE.0) {
                    let mut described = schema::argument(&parameter["schema"], document, parameter["description"].as_str());
                    if let Some(fixed) = fixed {
                        described["default"] = fixed.parse().map_or(Value::Null, |number: u64| json!(number));
                        described["description"] = json!(format!("Entries on a page; {fixed} when absent."));
                    }
                    properties.insert(name.clone(), described);
                }
                in_query.push(QueryParameter { name, fixed });
            }
            "header" if name == "If-Match" => versioned = true,
            _ => {}
        }
    }
    if versioned {
        let text = "The `version` you read; the change is refused when there is a newer one. Some workspaces demand it.";
        properties.insert("version".into(), json!({ "type": "integer", "description": text }));
    }
    let mut in_body = BTreeSet::new();
    let body = schema::argument(&operation["requestBody"]["content"]["application/json"]["schema"], document, None);
    for (name, described) in body["properties"].as_object().into_iter().flatten() {
        properties.insert(name.clone(), described.clone());
        in_body.insert(name.clone());
    }
    let demanded = body["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    required.extend(demanded.map(str::to_owned));
    let input = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    let mut described = Described::new(entry.name, entry.description, Arc::new(object(input)))
        .with_title(entry.title)
        .with_annotations(annotations(entry));
    let output = operation["responses"].as_object().into_iter().flatten();
    let output = output
        .filter(|(status, _)| status.starts_with('2'))
        .map(|(_, response)| response)
        .next();
    let output = output
        .map(|response| &response["content"]["application/json"]["schema"])
        .filter(|schema| schema.is_object());
    if let Some(output) = output {
        described = described.with_raw_output_schema(Arc::new(object(schema::whole(output, document))));
    }
    Some(Tool {
        described,
        method,
        path,
        in_path,
        in_query,
        in_body,
        versioned,
    })
}

/// People and models name a task by its key; both are understood.
fn path_argument(name: &str, parameter: &Value, document: &Value) -> Value {
    if name == "task_id" {
        return json!({ "type": "string", "description": "Id of the task, or its key such as ABC-123." });
    }
    schema::argument(&parameter["schema"], document, parameter["description"].as_str())
}

fn annotations(entry: &Entry) -> ToolAnnotations {
    // Nothing outside this installation is reached.
    ToolAnnotations::with_title(entry.title)
        .read_only(entry.effect == Reads)
        .destructive(entry.effect == Changes)
        .idempotent(entry.effect != Adds)
        .open_world(false)
}

fn find<'a>(document: &'a Value, operation_id: &str) -> Option<(String, Method, &'a Value)> {
    document["paths"].as_object()?.iter().find_map(|(path, item)| {
        let (method, operation) = item
            .as_object()?
            .iter()
            .find(|(_, operation)| operation["operationId"] == operation_id)?;
        Some((path.clone(), method.to_uppercase().parse().ok()?, operation))
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
