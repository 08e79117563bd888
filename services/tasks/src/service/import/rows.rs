//! What each row says, in the words of the creation of a task.

use std::collections::HashMap;

use contracts::workspaces::ProjectAccess;
use kernel::ids::UserId;
use kernel::{ErrorKind, Result, Timestamp};
use platform::Caller;

use super::super::TasksService;
use super::super::decide::Decider;
use super::{Issue, Row};
use crate::command::CreateTask;
use crate::model::import::{ImportField, address, cells_of, parse_priority, parse_status};
use crate::model::sheet::Sheet;
use crate::model::{LabelId, MAX_LABELS, State, StateId, Status, default_state, first_state, table, terms};
use crate::store;

/// What the names in a file can mean here; read once.
struct Names {
    states: Vec<State>,
    labels: HashMap<String, LabelId>,
    /// `None`: the caller may not know whose an address is.
    people: Option<HashMap<String, UserId>>,
}

impl TasksService {
    /// Decides every row as if it were sent alone, apart from its parent.
    pub(super) async fn decide_rows<'a>(&self, caller: &Caller, access: &ProjectAccess, sheet: &'a Sheet) -> Result<Vec<Row<'a>>> {
        let mut decider = Decider::new(self, caller);
        let names = self.names(caller, access, &mut decider).await?;
        let mut rows = Vec::with_capacity(sheet.rows.len());
        for record in &sheet.rows {
            let cells = cells_of(&record.cells, &sheet.fields);
            let mut issues = Vec::new();
            if record.cells.len() > sheet.columns.len() {
                let message = format!("has {} cells where there are {} columns", record.cells.len(), sheet.columns.len());
                issues.push(Issue::new(None, "too_many_cells", message));
            }
            let command = names.command(&cells, &mut issues);
            let decided = match decider.create(access, command).await {
                Ok(change) if issues.is_empty() => Ok(change),
                Ok(_) => Err(issues),
                Err(error) if error.kind == ErrorKind::Invalid => {
                    issues.extend(error.fields.into_iter().map(|field| Issue {
                        field: ImportField::of_pointer(&field.pointer),
                        code: field.code,
                        message: field.detail,
                    }));
                    Err(issues)
                }
                Err(error) => return Err(error),
            };
            rows.push(Row {
                record,
                key: cells.get(&ImportField::Key).copied(),
                parent: cells.get(&ImportField::Parent).copied(),
                named: Vec::new(),
                decided,
            });
        }
        Ok(rows)
    }

    async fn names(&self, caller: &Caller, access: &ProjectAccess, decider: &mut Decider<'_>) -> Result<Names> {
        let states = decider.states(access.workspace_id).await?.to_vec();
        let labels = store::labels::list(&self.db, access.workspace_id, None, MAX_LABELS as u64).await?;
        decider.know_labels(access.workspace_id, labels.iter().map(|label| label.id));
        let people = self.addresses(caller, access).await?;
        Ok(Names {
            states,
            labels: labels.into_iter().map(|label| (label.name_folded, label.id)).collect(),
            people: people.map(|people| people.into_iter().map(|(user, email)| (email, user)).collect()),
        })
    }
}

impl Names {
    fn command(&self, cells: &HashMap<ImportField, &str>, issues: &mut Vec<Issue>) -> CreateTask {
        let text = |field: ImportField| cells.get(&field).copied();
        CreateTask {
            title: text(ImportField::Title).unwrap_or_default().to_owned(),
            description: text(ImportField::Description).map(str::to_owned),
            state_id: self.state(text(ImportField::State), text(ImportField::Status), issues),
            priority: text(ImportField::Priority).and_then(|cell| {
                let priority = parse_priority(cell);
                if priority.is_none() {
                    let message = "must be none, low, medium, high or urgent";
                    issues.push(Issue::new(Some(ImportField::Priority), "unknown_priority", message));
                }
                priority
            }),
            due_date: text(ImportField::DueDate).map(|cell| cell.trim().to_owned()),
            due_at: text(ImportField::DueAt).and_then(|cell| {
                let at = cell.trim().parse::<Timestamp>().ok();
                if at.is_none() {
                    let message = "must be a moment such as 2026-12-24T17:00:00Z";
                    issues.push(Issue::new(Some(ImportField::DueAt), "invalid_moment", message));
                }
                at
            }),
            assignee_ids: text(ImportField::Assignees).map(|cell| self.people(cell, issues)),
            label_ids: text(ImportField::Labels).map(|cell| self.labels(cell, issues)),
            // Placed when all rows are known.
            parent_id: None,
        }
    }

    /// By name or by meaning, whichever column it stands in: programs call either of them state or status.
    fn state(&self, state: Option<&str>, status: Option<&str>, issues: &mut Vec<Issue>) -> Option<StateId> {
        let (cell, field) = match (state, status) {
            (Some(cell), _) => (cell, ImportField::State),
            (None, Some(cell)) => (cell, ImportField::Status),
            (None, None) => return None,
        };
        let folded = terms::folded_name(cell);
        let named = self.states.iter().find(|state| terms::folded_name(&state.name) == folded);
        let found = named.or_else(|| self.state_of(parse_status(cell)?));
        if found.is_none() {
            let message = "is no state of the workspace, and none of open, in_progress, done and cancelled";
            issues.push(Issue::new(Some(field), "unknown_state", message));
        }
        found.map(|state| state.id)
    }

    fn state_of(&self, status: Status) -> Option<&State> {
        default_state(&self.states)
            .filter(|state| state.status == status)
            .or_else(|| first_state(&self.states, status))
    }

    fn people(&self, cell: &str, issues: &mut Vec<Issue>) -> Vec<UserId> {
        let entries = table::split(cell);
        let Some(people) = &self.people else {
            // The same for every address, so that it tells nothing about any of them.
            if !entries.is_empty() {
                let message = "the API key lacks the scope members:read, without which addresses are not looked up";
                issues.push(Issue::new(Some(ImportField::Assignees), "scope_missing", message));
            }
            return Vec::new();
        };
        let mut found = Vec::new();
        for entry in entries {
            match people.get(&address(&entry)) {
                Some(user) => found.push(*user),
                None => {
                    let message = format!("{entry} is no address of a member who can read the project");
                    issues.push(Issue::new(Some(ImportField::Assignees), "not_a_member", message));
                }
            }
        }
        found
    }

    fn labels(&self, cell: &str, issues: &mut Vec<Issue>) -> Vec<LabelId> {
        let mut found = Vec::new();
        for entry in table::split(cell) {
            match self.labels.get(&terms::folded_name(&entry)) {
                Some(label) => found.push(*label),
                None => {
                    let message = format!("{entry} is no label of the workspace; create it first");
                    issues.push(Issue::new(Some(ImportField::Labels), "unknown_label", message));
                }
            }
        }
        found
    }
}
