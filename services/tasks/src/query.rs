//! Query parameters of lists: comma lists, sorts, fields and expansions. What is wrong here is 400.

use kernel::ids::{ProjectId, TaskId, UserId, WorkspaceId};
use kernel::{Error, Result, Timestamp};
use platform::http::query_error;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::model::{LabelId, Priority, StateId, Status, due, parse_human_key};
use crate::service::list::{Criteria, Expand, Person, Shape};
use crate::store::list::{Archived, Parent, Sort, SortKey};
use crate::view::{TASK_FIELDS, TrashKind};

const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 200;
/// Most entries of a comma list.
const MAX_ENTRIES: usize = 50;
const MAX_SORTS: usize = 3;

/// `a,b,c`; empty means not given.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommaList(Vec<String>);

impl<'de> Deserialize<'de> for CommaList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let entries: Vec<String> = text.split(',').map(str::to_owned).collect();
        if entries.len() > MAX_ENTRIES {
            return Err(serde::de::Error::custom(format!("at most {MAX_ENTRIES} entries")));
        }
        Ok(Self(entries))
    }
}

/// Declares a query that filters tasks: its own parameters, and the filters that all of them share. (serde's `flatten`
/// would switch off `deny_unknown_fields`.)
macro_rules! filter_query {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default, Deserialize, IntoParams)]
        #[serde(default, deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(crate) struct $name {
            $($own)*
            /// Meanings of the state; any of them.
            #[param(value_type = Option<Vec<Status>>, style = Form, explode = false, max_items = 50, example = json!(["open", "in_progress"]))]
            status: CommaList,
            /// States; any of them.
            #[param(value_type = Option<Vec<StateId>>, style = Form, explode = false, max_items = 50)]
            state_id: CommaList,
            /// Assigned to any of these people: ids, `me`, or `none` for tasks that nobody is assigned to.
            #[param(inline, value_type = Option<Vec<PersonParam>>, style = Form, explode = false, max_items = 50, example = json!(["me"]))]
            assignee: CommaList,
            /// Created by any of these people: ids or `me`.
            #[param(inline, value_type = Option<Vec<CreatorParam>>, style = Form, explode = false, max_items = 50)]
            creator: CommaList,
            /// Bears any of these labels.
            #[param(value_type = Option<Vec<LabelId>>, style = Form, explode = false, max_items = 50)]
            label: CommaList,
            /// Any of these priorities.
            #[param(value_type = Option<Vec<Priority>>, style = Form, explode = false, max_items = 50)]
            priority: CommaList,
            /// Due before this moment.
            #[param(value_type = Option<String>, format = DateTime, pattern = r"^(?!0000|9999)")]
            due_before: Option<Timestamp>,
            /// Due after this moment.
            #[param(value_type = Option<String>, format = DateTime, pattern = r"^(?!0000|9999)")]
            due_after: Option<Timestamp>,
            /// Changed at or after this moment.
            #[param(value_type = Option<String>, format = DateTime, pattern = r"^(?!0000|9999)")]
            updated_since: Option<Timestamp>,
            /// Sub-tasks of this task; `none` for top-level tasks.
            #[param(inline, value_type = Option<ParentParam>)]
            parent_id: Option<String>,
            /// `false` (default) without archived tasks, `true` only those, `any` both.
            #[param(inline, value_type = Option<ArchivedParam>)]
            archived: Option<ArchivedParam>,
            /// `true`: only deleted tasks that can still be restored.
            deleted: Option<bool>,
            /// Words in title or description, all of them; the last one may be the start of a word. Or a key such as `ABC-123`.
            #[param(max_length = 200, pattern = r"^[^\x00]*$")]
            q: Option<String>,
        }

        impl $name {
            fn filters(&self) -> Result<Criteria> {
                if self.q.as_deref().is_some_and(|q| q.chars().count() > 200 || q.contains('\0')) {
                    return Err(bad("q", "at most 200 characters, without U+0000"));
                }
                Ok(Criteria {
                    statuses: each("status", &self.status)?,
                    states: each("state_id", &self.state_id)?,
                    assignees: people("assignee", &self.assignee, true)?,
                    creators: people("creator", &self.creator, false)?,
                    labels: each("label", &self.label)?,
                    priorities: each("priority", &self.priority)?,
                    due_before: moment("due_before", self.due_before)?,
                    due_after: moment("due_after", self.due_after)?,
                    updated_since: moment("updated_since", self.updated_since)?,
                    parent: self.parent_id.as_deref().map(parent).transpose()?,
                    archived: archived(self.archived),
                    deleted: self.deleted.unwrap_or(false),
                    q: self.q.clone().filter(|q| !q.trim().is_empty()),
                    ..Criteria::default()
                })
            }
        }
    };
}

/// Declares the query of a list of tasks: filters, sort and page.
macro_rules! list_query {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        filter_query!(
            $(#[$meta])* $name {
            $($own)*
            /// At most three sort keys, `-` for descending; default `-created_at`. Tasks without a due date sort as due last.
            #[param(inline, value_type = Option<Vec<SortParam>>, style = Form, explode = false, max_items = 3, example = json!(["-due_at", "created_at"]))]
            sort: CommaList,
            /// Only these members (and `id`).
            #[param(inline, value_type = Option<Vec<FieldParam>>, style = Form, explode = false, max_items = 50)]
            fields: CommaList,
            /// Adds the related objects.
            #[param(inline, value_type = Option<Vec<ExpandParam>>, style = Form, explode = false, max_items = 3)]
            expand: CommaList,
            /// Also counts all tasks that match; costs a statement more.
            include_total: Option<bool>,
            #[param(minimum = 1, maximum = 200, default = 50)]
            limit: Option<u64>,
            /// `next_cursor` of the page before, with the same filter and sort.
            #[param(max_length = 2048)]
            cursor: Option<String>,
            }
        );

        impl $name {
            fn shared(self) -> Result<(Criteria, Shape)> {
                let criteria = Criteria {
                    sorts: sorts(&self.sort)?,
                    ..self.filters()?
                };
                let shape = ShapeQuery {
                    fields: self.fields,
                    expand: self.expand,
                    include_total: self.include_total,
                    limit: self.limit,
                    cursor: self.cursor,
                };
                Ok((criteria, shape.shape()?))
            }
        }
    };
}

list_query!(
    /// Filters, sort and page of the tasks of one project.
    ProjectTasksQuery {}
);

impl ProjectTasksQuery {
    pub fn parse(self) -> Result<(Criteria, Shape)> {
        self.shared()
    }
}

list_query!(
    /// Filters, sort and page of a list across projects.
    TasksQuery {
        /// Only this workspace.
        workspace_id: Option<WorkspaceId>,
        /// Only these projects.
        #[param(value_type = Option<Vec<ProjectId>>, style = Form, explode = false, max_items = 50)]
        project_id: CommaList,
        /// Only the task of this key, in each workspace that has one.
        #[param(max_length = 35, pattern = r"^[A-Za-z0-9_]{1,16}-[1-9][0-9]{0,17}$", example = "ABC-123")]
        key: Option<String>,
    }
);

impl TasksQuery {
    pub fn parse(self) -> Result<(Criteria, Shape)> {
        let (workspace_id, project_ids) = (self.workspace_id, each("project_id", &self.project_id)?);
        let key = self.key.as_deref().map(human_key).transpose()?;
        let (criteria, shape) = self.shared()?;
        let criteria = Criteria {
            workspace_id,
            project_ids,
            key,
            ..criteria
        };
        Ok((criteria, shape))
    }
}

fn human_key(text: &str) -> Result<(String, i64)> {
    parse_human_key(text).ok_or_else(|| bad("key", "is no key such as ABC-123"))
}

filter_query!(
    /// Which tasks of a project are exported, and how.
    ExportQuery {
        /// `csv` when left out.
        #[param(inline, value_type = Option<ExportFormat>)]
        pub format: ExportFormat,
    }
);

impl ExportQuery {
    /// In the order of the numbers, which no change disturbs while pages are read.
    pub fn parse(self) -> Result<(Criteria, ExportFormat)> {
        let by_number = Sort {
            key: SortKey::Number,
            descending: false,
        };
        let criteria = Criteria {
            sorts: vec![by_number],
            ..self.filters()?
        };
        Ok((criteria, self.format))
    }
}

/// Form of exported tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExportFormat {
    #[default]
    Csv,
    Json,
}

impl ExportFormat {
    /// Of the file's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// How the page of a list with fixed filters shall look.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShapeQuery {
    /// Only these members (and `id`).
    #[param(inline, value_type = Option<Vec<FieldParam>>, style = Form, explode = false, max_items = 50)]
    fields: CommaList,
    /// Adds the related objects.
    #[param(inline, value_type = Option<Vec<ExpandParam>>, style = Form, explode = false, max_items = 3)]
    expand: CommaList,
    /// Also counts all tasks that match; costs a statement more.
    include_total: Option<bool>,
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    #[param(max_length = 2048)]
    cursor: Option<String>,
}

impl ShapeQuery {
    pub fn shape(self) -> Result<Shape> {
        Ok(Shape {
            limit: checked_limit(self.limit)?,
            cursor: self.cursor,
            include_total: self.include_total.unwrap_or(false),
            fields: fields(self.fields)?,
            expand: expand(&self.expand)?,
        })
    }
}

/// Which saved views.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ViewsQuery {
    /// Only those of this project.
    pub project_id: Option<ProjectId>,
}

/// Reads the filters and the sort that somebody saved, in the words of the list across projects. The error is a sentence
/// for people.
pub(crate) fn parse_saved(text: &str) -> std::result::Result<Criteria, String> {
    let told = |error: Error| match error.fields.first() {
        Some(field) => format!("{}: {}", field.pointer.trim_start_matches("#query/"), field.detail),
        None => error.detail.into_owned(),
    };
    let query: TasksQuery = platform::http::parse_query(text).map_err(told)?;
    let of_a_page = [
        ("workspace_id", query.workspace_id.is_some()),
        ("fields", !query.fields.0.is_empty()),
        ("expand", !query.expand.0.is_empty()),
        ("include_total", query.include_total.is_some()),
        ("limit", query.limit.is_some()),
        ("cursor", query.cursor.is_some()),
    ];
    if let Some((name, _)) = of_a_page.into_iter().find(|(_, given)| *given) {
        return Err(format!("{name}: is not saved, but chosen whenever the list is read"));
    }
    query.parse().map(|(criteria, _)| criteria).map_err(told)
}

fn archived(param: Option<ArchivedParam>) -> Archived {
    match param {
        None | Some(ArchivedParam::False) => Archived::Exclude,
        Some(ArchivedParam::True) => Archived::Only,
        Some(ArchivedParam::Any) => Archived::Any,
    }
}

macro_rules! text_schema {
    ($($name:ident => $builder:expr),+ $(,)?) => {$(
        /// Only a schema: a text of a certain form.
        pub(crate) struct $name;
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String).pattern(Some($builder)).into()
            }
        }
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> { stringify!($name).into() }
        }
    )+};
}

const UUID: &str = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";

text_schema!(
    PersonParam => format!("^(me|none|{UUID})$"),
    CreatorParam => format!("^(me|{UUID})$"),
    ParentParam => format!("^(none|{UUID})$"),
    SortParam => "^-?(created_at|updated_at|due_at|priority|position|number|title)$".to_owned(),
    FieldParam => format!("^({})$", TASK_FIELDS.join("|")),
    ExpandParam => "^(assignees|labels|project)$".to_owned(),
);

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ArchivedParam {
    True,
    False,
    Any,
}

/// A page of comments or history.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    #[param(max_length = 2048)]
    pub cursor: Option<String>,
}

impl PageQuery {
    pub fn limit(&self) -> Result<u64> {
        checked_limit(self.limit)
    }
}

/// A page of what was deleted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrashQuery {
    /// Only these kinds.
    #[param(value_type = Option<Vec<TrashKind>>, style = Form, explode = false, max_items = 2, example = json!(["task"]))]
    kind: CommaList,
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// `next_cursor` of the page before, with the same kinds.
    #[param(max_length = 2048)]
    pub cursor: Option<String>,
}

impl TrashQuery {
    pub fn parse(&self) -> Result<(Vec<TrashKind>, u64)> {
        let asked: Vec<TrashKind> = each("kind", &self.kind)?;
        let wanted = |kind: &TrashKind| asked.is_empty() || asked.contains(kind);
        Ok((TrashKind::ALL.into_iter().filter(wanted).collect(), checked_limit(self.limit)?))
    }
}

/// A page of labels.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LabelsQuery {
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    #[param(max_length = 2048)]
    pub cursor: Option<String>,
    /// Also counts all labels.
    pub include_total: Option<bool>,
}

impl LabelsQuery {
    pub fn limit(&self) -> Result<u64> {
        checked_limit(self.limit)
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GetTaskQuery {
    /// Adds the related objects. The reply then has no `ETag`.
    #[param(inline, value_type = Option<Vec<ExpandParam>>, style = Form, explode = false, max_items = 3)]
    expand: CommaList,
}

impl GetTaskQuery {
    pub fn expand(&self) -> Result<Expand> {
        expand(&self.expand)
    }
}

fn bad(name: &str, detail: &str) -> Error {
    query_error(name, "invalid", detail)
}

fn each<T: std::str::FromStr>(name: &str, list: &CommaList) -> Result<Vec<T>> {
    list.0
        .iter()
        .map(|entry| entry.parse().map_err(|_| bad(name, "has an entry that is not known")))
        .collect()
}

fn people(name: &str, list: &CommaList, or_none: bool) -> Result<Vec<Person>> {
    let person = |entry: &String| match entry.as_str() {
        "me" => Ok(Person::Me),
        "none" if or_none => Ok(Person::Nobody),
        id => id
            .parse::<UserId>()
            .map(Person::User)
            .map_err(|_| bad(name, "has an entry that is no person")),
    };
    list.0.iter().map(person).collect()
}

fn moment(name: &str, at: Option<Timestamp>) -> Result<Option<Timestamp>> {
    if at.is_some_and(|at| !due::moment_in_range(at)) {
        return Err(bad(name, due::RANGE));
    }
    Ok(at)
}

fn parent(text: &str) -> Result<Parent> {
    if text == "none" {
        return Ok(Parent::TopLevel);
    }
    text.parse::<TaskId>()
        .map(Parent::Of)
        .map_err(|_| bad("parent_id", "must be a task id or none"))
}

fn sorts(list: &CommaList) -> Result<Vec<Sort>> {
    if list.0.is_empty() {
        return Ok(vec![Sort {
            key: SortKey::CreatedAt,
            descending: true,
        }]);
    }
    if list.0.len() > MAX_SORTS {
        return Err(bad("sort", "at most three keys"));
    }
    let mut sorts: Vec<Sort> = Vec::new();
    for entry in &list.0 {
        let name = entry.strip_prefix('-').unwrap_or(entry);
        let key = match name {
            "created_at" => SortKey::CreatedAt,
            "updated_at" => SortKey::UpdatedAt,
            "due_at" => SortKey::DueAt,
            "priority" => SortKey::Priority,
            "position" => SortKey::Position,
            "number" => SortKey::Number,
            "title" => SortKey::Title,
            _ => return Err(bad("sort", "has a key that tasks cannot be sorted by")),
        };
        // A key that occurred before decides nothing any more.
        if sorts.iter().all(|sort| sort.key != key) {
            sorts.push(Sort {
                key,
                descending: name.len() < entry.len(),
            });
        }
    }
    Ok(sorts)
}

fn fields(list: CommaList) -> Result<Option<Vec<String>>> {
    if list.0.is_empty() {
        return Ok(None);
    }
    if list.0.iter().any(|field| !TASK_FIELDS.contains(&field.as_str())) {
        return Err(bad("fields", "has an entry that is no member of a task"));
    }
    Ok(Some(list.0))
}

fn expand(list: &CommaList) -> Result<Expand> {
    let mut expand = Expand::default();
    for entry in &list.0 {
        match entry.as_str() {
            "assignees" => expand.assignees = true,
            "labels" => expand.labels = true,
            "project" => expand.project = true,
            _ => return Err(bad("expand", "has an entry that cannot be expanded")),
        }
    }
    Ok(expand)
}

fn checked_limit(limit: Option<u64>) -> Result<u64> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(bad("limit", "must be between 1 and 200"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> CommaList {
        CommaList(text.split(',').map(str::to_owned).collect())
    }

    #[test]
    fn sorts_have_a_default_and_ignore_repetitions() {
        assert_eq!(
            sorts(&CommaList::default()).unwrap(),
            [Sort {
                key: SortKey::CreatedAt,
                descending: true
            }]
        );
        let two = sorts(&list("-due_at,title,due_at")).unwrap();
        assert_eq!(
            two.iter().map(|s| (s.key, s.descending)).collect::<Vec<_>>(),
            [(SortKey::DueAt, true), (SortKey::Title, false)]
        );
        assert!(sorts(&list("secret")).is_err());
        assert!(sorts(&list("--title")).is_err());
        assert!(sorts(&list("title,number,priority,position")).is_err());
    }

    #[test]
    fn what_is_saved_is_what_the_list_reads() {
        let criteria = parse_saved("status=open,in_progress&assignee=me&sort=-priority,due_at&q=caf%C3%A9").unwrap();
        assert_eq!(
            (criteria.statuses.len(), criteria.assignees, criteria.sorts.len()),
            (2, vec![Person::Me], 2)
        );
        assert_eq!(criteria.q.as_deref(), Some("café"));
        assert!(parse_saved("").is_ok());
        for (bad, start) in [
            ("status=closed", "status: "),
            ("colour=red", "colour: "),
            ("status=open&status=done", "status: "),
            ("limit=7", "limit: "),
            ("expand=labels", "expand: "),
            ("workspace_id=01910000-0000-7000-8000-000000000001", "workspace_id: "),
            ("due_before=9999-06-01T00:00:00Z", "due_before: "),
            ("q=%00", "q: "),
        ] {
            let error = parse_saved(bad).unwrap_err();
            assert!(error.starts_with(start), "{bad}: {error}");
        }
    }

    #[test]
    fn unknown_entries_are_400_with_a_pointer() {
        let error = each::<Status>("status", &list("open,closed")).unwrap_err();
        assert_eq!(error.kind.http_status(), 400);
        assert_eq!(error.fields[0].pointer, "#query/status");
        assert!(people("creator", &list("none"), false).is_err());
        assert!(people("assignee", &list("me,none"), true).is_ok());
        assert!(fields(list("title,password")).is_err());
        assert!(expand(&list("creator")).is_err());
        for limit in [0, 201] {
            assert!(checked_limit(Some(limit)).is_err());
        }
    }
}
