//! Relations between tasks.

use std::collections::{BTreeSet, HashMap, HashSet};

use contracts::tasks::events::{TaskRelated, TaskUnrelated};
use contracts::workspaces::ProjectAccess;
use kernel::ids::{ProjectId, TaskId};
use kernel::roles::Permission;
use kernel::{Error, Result};
use platform::Caller;
use platform::db::{DbError, Guard, Reply};
use serde_json::{Value, json};

use super::comments::writable;
use super::{Draft, TasksService, task_ref};
use crate::error::TasksError;
use crate::model::relation::{Edge, MAX_RELATIONS, Relation};
use crate::model::{Task, human_key};
use crate::store;
use crate::store::activity::Activity;
use crate::store::relations::RelationRow;
use crate::view::{RelatedTaskView, RelationList, RelationView};

/// Most tasks that are looked at to find out whether a new edge closes a cycle.
const MAX_REACH: usize = 5_000;
/// Longest chain of blocked tasks that is followed.
const MAX_CHAIN: usize = 200;
/// So often a new edge is tried again when others are added to the same workspace meanwhile.
const ATTEMPTS: usize = 30;

/// Kinds of lines in the history.
const ADDED: &str = "relation_added";
const REMOVED: &str = "relation_removed";

const GRAPH_GREW: Guard = Guard::conflict(
    "tasks.relation.changed_meanwhile",
    "Other relations were made at the same moment; repeat your request.",
);
const GONE: Guard = Guard::conflict("tasks.relation.gone", "The relation was deleted meanwhile.");

/// Both ends of a relation, checked.
struct Pair {
    own: Task,
    access: ProjectAccess,
    other: Task,
    other_access: ProjectAccess,
}

impl TasksService {
    /// All relations of a task to tasks the caller can see, oldest first: a fixed number of statements.
    pub(crate) async fn list_relations(&self, caller: &Caller, task_id: TaskId) -> Result<RelationList> {
        let (task, access) = self.task(caller, task_id, Permission::TaskRead).await?;
        let rows = store::relations::list(&self.db, task.workspace_id, task_id, MAX_RELATIONS as u64).await?;
        let others: Vec<TaskId> = rows.iter().map(|row| other_end(row, task_id)).collect();
        let tasks: HashMap<TaskId, Task> = store::tasks::list_by_ids(&self.db, &others)
            .await?
            .into_iter()
            .filter(Task::is_live)
            .map(|task| (task.id, task))
            .collect();
        let mut projects: HashMap<ProjectId, ProjectAccess> = HashMap::from([(access.project_id, access)]);
        if tasks.values().any(|other| other.project_id != task.project_id) {
            let readable = self.readable_projects(caller, Some(task.workspace_id)).await?;
            projects.extend(readable.into_iter().map(|access| (access.project_id, access)));
        }
        let view = |row: &RelationRow| {
            let other = tasks.get(&other_end(row, task_id))?;
            let access = projects.get(&other.project_id)?;
            Some(relation_view(row, task_id, other, access))
        };
        Ok(RelationList {
            items: rows.iter().filter_map(view).collect(),
        })
    }

    /// Takes the other task out of the lines about relations (`task_id: null`) where the caller cannot read its project, or where it
    /// is gone and nobody knows any more which that was. One statement for all lines, and one question to workspaces.
    pub(super) async fn hide_foreign(&self, caller: &Caller, task: &Task, lines: &mut [Activity]) -> Result<()> {
        let others: BTreeSet<TaskId> = lines.iter().filter_map(named_task).collect();
        if others.is_empty() {
            return Ok(());
        }
        let others: Vec<TaskId> = others.into_iter().collect();
        let found = store::tasks::list_by_ids(&self.db, &others).await?;
        let mut readable = HashSet::from([task.project_id]);
        if found.iter().any(|other| other.project_id != task.project_id) {
            let projects = self.readable_projects(caller, Some(task.workspace_id)).await?;
            readable.extend(projects.into_iter().map(|access| access.project_id));
        }
        let seen = found.iter().filter(|other| readable.contains(&other.project_id));
        let seen: HashSet<TaskId> = seen.map(|other| other.id).collect();
        for line in lines {
            if named_task(line).is_some_and(|other| !seen.contains(&other)) {
                for value in [&mut line.old, &mut line.new] {
                    if let Some(other) = value.get_mut("task_id") {
                        *other = Value::Null;
                    }
                }
            }
        }
        Ok(())
    }

    /// Idempotent: a relation there is stays as it is. The other task must be one of the same workspace that the caller
    /// can see.
    pub(crate) async fn relate(
        &self,
        caller: &Caller,
        task_id: TaskId,
        relation: Relation,
        other_id: TaskId,
    ) -> Result<Reply<RelationView>> {
        for _ in 0..ATTEMPTS {
            let pair = self.pair(caller, task_id, other_id).await?;
            writable(&pair.own, &pair.access)?;
            if task_id == other_id {
                return Err(TasksError::RelatedToItself.into());
            }
            match self.try_relate(caller, &pair, relation).await {
                // Somebody was faster, with another edge or with this one: what was found out may be wrong by now.
                Err(error) if error.code == GRAPH_GREW.code => {}
                outcome => return outcome,
            }
        }
        Err(DbError::Guard(GRAPH_GREW).into())
    }

    async fn try_relate(&self, caller: &Caller, pair: &Pair, relation: Relation) -> Result<Reply<RelationView>> {
        let (own, other) = (&pair.own, &pair.other);
        let (source, target) = relation.ends(own.id, other.id);
        let edge = relation.edge();
        let version = store::relations::graph_version(&self.db, own.workspace_id).await?;
        let mut draft = Draft::new(self, caller);
        let row = if let Some(present) = store::relations::find(&self.db, edge, source, target).await? {
            present
        } else {
            for task in [own.id, other.id] {
                if usize::try_from(store::relations::count(&self.db, task).await?).unwrap_or(usize::MAX) >= MAX_RELATIONS {
                    return Err(TasksError::TooManyRelations.into());
                }
            }
            if edge.acyclic() && self.reaches(edge, target, source).await? {
                return Err(TasksError::RelationCycle.into());
            }
            let row = RelationRow {
                workspace_id: own.workspace_id,
                edge,
                source_id: source,
                target_id: target,
                creator_id: caller.actor.user_id(),
                created_at: caller.now,
            };
            store::relations::grow_graph(&mut draft.unit, own.workspace_id, version, GRAPH_GREW);
            store::relations::insert(&mut draft.unit, &row);
            tell(&mut draft, pair, relation, true);
            row
        };
        let view = relation_view(&row, own.id, other, &pair.other_access);
        Ok(self.db.apply_reply(draft.unit, move |_| Ok(Reply::plain(view))).await?)
    }

    /// Idempotent: no relation, nothing to do.
    pub(crate) async fn unrelate(&self, caller: &Caller, task_id: TaskId, relation: Relation, other_id: TaskId) -> Result<()> {
        let pair = self.pair(caller, task_id, other_id).await?;
        writable(&pair.own, &pair.access)?;
        let (source, target) = relation.ends(task_id, other_id);
        let Some(row) = store::relations::find(&self.db, relation.edge(), source, target).await? else {
            return Ok(());
        };
        let mut draft = Draft::new(self, caller);
        store::relations::delete(&mut draft.unit, &row, GONE);
        tell(&mut draft, &pair, relation, false);
        match self.db.apply(draft.unit).await {
            Ok(_) => Ok(()),
            // Somebody else's deletion was faster; it told of itself.
            Err(DbError::Guard(guard)) if guard.code == GONE.code => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The caller may change the first and see the second; tasks of other workspaces are as if there were none.
    async fn pair(&self, caller: &Caller, task_id: TaskId, other_id: TaskId) -> Result<Pair> {
        let (own, access) = self.task(caller, task_id, Permission::TaskWrite).await?;
        let (other, other_access) = self.task(caller, other_id, Permission::TaskRead).await?;
        if own.workspace_id != other.workspace_id {
            return Err(TasksError::TaskNotFound.into());
        }
        Ok(Pair {
            own,
            access,
            other,
            other_access,
        })
    }

    /// Whether edges of this kind lead from one task to another, level by level.
    async fn reaches(&self, edge: Edge, from: TaskId, to: TaskId) -> Result<bool> {
        let mut seen = HashSet::from([from]);
        let mut level = vec![from];
        for _ in 0..MAX_CHAIN {
            let targets = store::relations::list_targets(&self.db, edge, &level, MAX_REACH as u64).await?;
            if targets.contains(&to) {
                return Ok(true);
            }
            level = targets.into_iter().filter(|task| seen.insert(*task)).collect();
            if level.is_empty() {
                return Ok(false);
            }
            if seen.len() > MAX_REACH {
                break;
            }
        }
        Err(Error::from(TasksError::RelationGraphTooLarge))
    }
}

fn other_end(row: &RelationRow, own: TaskId) -> TaskId {
    if row.source_id == own { row.target_id } else { row.source_id }
}

/// The other task of a line about a relation.
fn named_task(line: &Activity) -> Option<TaskId> {
    let value = match line.kind.as_str() {
        ADDED => &line.new,
        REMOVED => &line.old,
        _ => return None,
    };
    value.get("task_id")?.as_str()?.parse().ok()
}

fn relation_view(row: &RelationRow, own: TaskId, other: &Task, access: &ProjectAccess) -> RelationView {
    RelationView {
        relation: Relation::of(row.edge, row.source_id == own),
        task: RelatedTaskView {
            id: other.id,
            key: human_key(&access.project_key, other.number),
            project_id: other.project_id,
            title: other.title.clone(),
            status: other.status,
            state_id: other.state_id,
            due_at: other.due.map(|due| due.at),
            archived_at: other.archived_at,
        },
        creator_id: row.creator_id,
        created_at: row.created_at,
    }
}

/// History and events of both tasks, each from its own side. An event goes to everybody who can read the project of its task, so it
/// names the other task only where that lies in the same project; the history is read with the rights of its reader.
fn tell(draft: &mut Draft, pair: &Pair, relation: Relation, added: bool) {
    for (task, other, relation) in [(&pair.own, &pair.other, relation), (&pair.other, &pair.own, relation.inverse())] {
        let value = json!({ "relation": relation.as_str(), "task_id": other.id });
        let (reference, name) = (task_ref(task), relation.as_str().to_owned());
        let other_id = (other.project_id == task.project_id).then_some(other.id);
        if added {
            draft.record(task, ADDED, None, Value::Null, value);
            draft.unit.emit(&TaskRelated {
                task: reference,
                relation: name,
                other_id,
            });
        } else {
            draft.record(task, REMOVED, None, value, Value::Null);
            draft.unit.emit(&TaskUnrelated {
                task: reference,
                relation: name,
                other_id,
            });
        }
    }
}
