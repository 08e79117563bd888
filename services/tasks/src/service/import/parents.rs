//! Which task each row lies below: another row of the file, or a task that is there already.

use std::collections::{BTreeSet, HashMap, HashSet};

use contracts::workspaces::ProjectAccess;
use kernel::Result;
use kernel::ids::TaskId;

use super::super::TasksService;
use super::{Issue, Row};
use crate::model::import::ImportField;
use crate::model::{MAX_DEPTH, Task, parse_human_key};
use crate::store;

/// Ids in one statement.
const CHUNK: usize = 500;

/// Most rows that are remembered for an ambiguous parent.
const MAX_NAMED: usize = 5;

/// What a row's `parent` names.
#[derive(Debug, Clone, Copy)]
enum Above {
    Row(usize),
    Number(i64),
    Task(TaskId),
}

/// A place in the tree.
#[derive(Debug, Clone, Copy)]
struct Place {
    id: TaskId,
    /// A top-level task has level 1.
    level: usize,
}

impl TasksService {
    /// Sets the parents, refuses rows whose parent cannot be one, and gives the good rows in an order in which parents come first
    /// and otherwise the file's.
    pub(super) async fn place_rows(&self, access: &ProjectAccess, rows: &mut [Row<'_>]) -> Result<Vec<usize>> {
        let above = name_parents(access, rows);
        let there = self.parents_there(access, above.iter().flatten()).await?;
        let mut places: HashMap<usize, Option<Place>> = HashMap::new();
        let mut order = Vec::new();
        for start in 0..rows.len() {
            // Up to what is placed, then down again.
            let mut path = vec![start];
            while let Some(index) = path.last().copied()
                && let Some(Above::Row(parent)) = above[index]
                && !places.contains_key(&parent)
            {
                if path.contains(&parent) {
                    rows[index].refuse(wrong("cycle", "leads back to the row itself"));
                    places.insert(index, None);
                    path.pop();
                    break;
                }
                path.push(parent);
            }
            for index in path.into_iter().rev() {
                if !places.contains_key(&index) {
                    let place = place(&mut rows[index], above[index], &places, &there);
                    places.insert(index, place);
                    if place.is_some() {
                        order.push(index);
                    }
                }
            }
        }
        Ok(order)
    }

    /// The open tasks of the project among those named, by number and id, with their levels. One statement for each level, however
    /// many they are.
    async fn parents_there(&self, access: &ProjectAccess, named: impl Iterator<Item = &Above>) -> Result<HashMap<Key, Place>> {
        let (mut numbers, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for one in named {
            match one {
                Above::Row(_) => {}
                Above::Number(number) => _ = numbers.insert(*number),
                Above::Task(id) => _ = ids.insert(*id),
            }
        }
        let (numbers, ids): (Vec<i64>, Vec<TaskId>) = (numbers.into_iter().collect(), ids.into_iter().collect());
        let mut found: Vec<Task> = Vec::new();
        for chunk in numbers.chunks(CHUNK) {
            found.extend(store::tasks::list_by_numbers(&self.db, access.project_id, chunk).await?);
        }
        for chunk in ids.chunks(CHUNK) {
            found.extend(store::tasks::list_by_ids(&self.db, chunk).await?);
        }
        found.retain(|task| task.project_id == access.project_id && task.is_live() && task.archived_at.is_none());
        let mut levels: HashMap<TaskId, usize> = found.iter().map(|task| (task.id, 1)).collect();
        let mut climbing: Vec<(TaskId, TaskId)> = found.iter().filter_map(|task| Some((task.id, task.parent_id?))).collect();
        while !climbing.is_empty() {
            let next: HashSet<TaskId> = climbing.iter().map(|(_, above)| *above).collect();
            let next: Vec<TaskId> = next.into_iter().collect();
            let mut above = HashMap::new();
            for chunk in next.chunks(CHUNK) {
                let branches = store::tasks::list_branches(&self.db, access.project_id, chunk).await?;
                above.extend(branches.into_iter().map(|branch| (branch.id, branch.parent_id)));
            }
            let mut higher = Vec::new();
            for (task, parent) in climbing {
                let level = levels.entry(task).or_insert(1);
                *level += 1;
                if *level <= MAX_DEPTH
                    && let Some(Some(grandparent)) = above.get(&parent)
                {
                    higher.push((task, *grandparent));
                }
            }
            climbing = higher;
        }
        let mut there = HashMap::new();
        for task in found {
            let place = Place {
                id: task.id,
                level: levels.get(&task.id).copied().unwrap_or(1),
            };
            there.insert(Key::Number(task.number), place);
            there.insert(Key::Task(task.id), place);
        }
        Ok(there)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Number(i64),
    Task(TaskId),
}

/// The key of a row of the file goes before the key of a task: an export that comes back keeps its own tree. The rows
/// that are named are remembered, for the file of those that failed.
fn name_parents(access: &ProjectAccess, rows: &mut [Row<'_>]) -> Vec<Option<Above>> {
    let plain = |key: &str| key.trim().to_lowercase();
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        if let Some(key) = row.key {
            by_key.entry(plain(key)).or_default().push(index);
        }
    }
    let mut above = Vec::with_capacity(rows.len());
    for row in rows.iter_mut() {
        let Some(text) = row.parent else {
            above.push(None);
            continue;
        };
        let rows_named = by_key.get(&plain(text)).map(Vec::as_slice);
        row.named = rows_named.unwrap_or_default().iter().copied().take(MAX_NAMED).collect();
        let named = match rows_named {
            Some([index]) => Ok(Above::Row(*index)),
            Some(_) => Err(wrong("ambiguous_parent", "several rows of the file have this key")),
            None => match parse_human_key(text) {
                Some((key, number)) if key == access.project_key => Ok(Above::Number(number)),
                _ => text.trim().parse().map(Above::Task).map_err(|_| unknown()),
            },
        };
        above.push(named.map_err(|issue| row.refuse(issue)).ok());
    }
    above
}

/// Where a row comes to lie, once what it lies below has its place. `None`: nowhere.
fn place(row: &mut Row<'_>, above: Option<Above>, places: &HashMap<usize, Option<Place>>, there: &HashMap<Key, Place>) -> Option<Place> {
    let parent = match above {
        None => None,
        Some(Above::Row(index)) => match places.get(&index).copied().flatten() {
            Some(parent) => Some(parent),
            None => {
                row.refuse(wrong("parent_failed", "lies below a row that is not imported"));
                return None;
            }
        },
        Some(Above::Number(number)) => there.get(&Key::Number(number)).copied(),
        Some(Above::Task(id)) => there.get(&Key::Task(id)).copied(),
    };
    if above.is_some() && parent.is_none() {
        row.refuse(unknown());
        return None;
    }
    let level = parent.map_or(1, |parent| parent.level + 1);
    if level > MAX_DEPTH {
        let message = format!("sub-tasks lie at most {MAX_DEPTH} levels deep");
        row.refuse(wrong("too_deep", message));
        return None;
    }
    let change = row.decided.as_mut().ok()?;
    change.new.parent_id = parent.map(|parent| parent.id);
    Some(Place { id: change.new.id, level })
}

fn unknown() -> Issue {
    wrong(
        "unknown_parent",
        "is neither the key of another row nor an open task of the project",
    )
}

fn wrong(code: &'static str, message: impl Into<String>) -> Issue {
    Issue::new(Some(ImportField::Parent), code, message)
}
