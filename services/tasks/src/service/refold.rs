//! Folds rows anew that were folded by an older rule, until none is left. Harmless when several replicas do it.

use std::collections::{BTreeSet, HashMap};

use kernel::Result;
use kernel::ids::TaskId;
use platform::Caller;
use platform::db::{DbError, Unit};

use super::TasksService;
use crate::model::{LabelId, StateId, terms};
use crate::store;
use crate::store::refold::Kind;

/// Rows per step: small statements, short transactions.
const CHUNK: u64 = 100;

impl TasksService {
    pub(crate) async fn refold(&self) -> Result<()> {
        let caller = Caller::system(&*self.toolkit.clock, "tasks-refold");
        while self.refold_tasks(&caller).await? {}
        while self.refold_names(&caller, Kind::Label).await? {}
        while self.refold_names(&caller, Kind::State).await? {}
        Ok(())
    }

    /// Some tasks. What the index holds is read, not worked out: it may come from any older rule, and from changes made
    /// since by the present one.
    async fn refold_tasks(&self, caller: &Caller) -> Result<bool> {
        let marked = store::refold::list(&self.db, Kind::Task, CHUNK).await?;
        let ids: Vec<TaskId> = marked.iter().copied().map(TaskId).collect();
        let tasks = store::tasks::list_by_ids(&self.db, &ids).await?;
        let mut indexed: HashMap<TaskId, BTreeSet<String>> = HashMap::new();
        for (task_id, term) in store::terms::list(&self.db, &ids).await? {
            indexed.entry(task_id).or_default().insert(term);
        }
        let mut changed = Vec::new();
        for task in &tasks {
            let present = indexed.remove(&task.id).unwrap_or_default();
            let wanted = terms::task_terms(&task.title, &task.description);
            let (stale, missing) = (&present - &wanted, &wanted - &present);
            if stale.is_empty() && missing.is_empty() && task.title.is_ascii() {
                continue;
            }
            // A task of its own unit: somebody editing it makes this one wait for the next run, not all.
            let mut unit = Unit::new(caller);
            store::refold::write_title(&mut unit, task);
            store::terms::remove(&mut unit, task, &stale);
            store::terms::add(&mut unit, task, &missing);
            store::refold::done(&mut unit, Kind::Task, &[task.id.0]);
            self.db.apply(unit).await?;
            changed.push(task.id.0);
        }
        let rest: Vec<_> = marked.iter().copied().filter(|id| !changed.contains(id)).collect();
        self.refolded(caller, Kind::Task, &rest).await?;
        Ok(!marked.is_empty())
    }

    /// Some labels or states. Two names that only now are the same keep their older folding: both go on to exist, and
    /// whoever renames one of them gets the present rule.
    async fn refold_names(&self, caller: &Caller, kind: Kind) -> Result<bool> {
        let marked = store::refold::list(&self.db, kind, CHUNK).await?;
        let mut units = Vec::new();
        let mut unit_for = |write: &dyn Fn(&mut Unit)| {
            let mut unit = Unit::new(caller);
            write(&mut unit);
            units.push(unit);
        };
        if kind == Kind::State {
            let ids: Vec<StateId> = marked.iter().copied().map(StateId).collect();
            for state in store::refold::list_states(&self.db, &ids).await? {
                unit_for(&|unit| store::refold::write_state(unit, &state));
            }
        } else {
            let ids: Vec<LabelId> = marked.iter().copied().map(LabelId).collect();
            for label in store::labels::list_by_ids(&self.db, &ids).await? {
                unit_for(&|unit| store::refold::write_label(unit, &label));
            }
        }
        for unit in units {
            match self.db.apply(unit).await {
                Ok(_) => {}
                Err(error) if error.is_unique() => {
                    tracing::warn!(?kind, "two names of a workspace differ only in case by the present rule");
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.refolded(caller, kind, &marked).await?;
        Ok(!marked.is_empty())
    }

    async fn refolded(&self, caller: &Caller, kind: Kind, ids: &[uuid::Uuid]) -> Result<(), DbError> {
        let mut unit = Unit::new(caller);
        store::refold::done(&mut unit, kind, ids);
        self.db.apply(unit).await.map(drop)
    }
}
