//! The contract: what other services may ask.

use std::collections::HashMap;

use async_trait::async_trait;
use contracts::tasks::{GetTasks, TaskSummary, Tasks};
use kernel::ids::ProjectId;
use kernel::{CallContext, Error, Result};

use crate::TasksService;
use crate::model::{Task, human_key};
use crate::store;

/// As the contract says.
const MAX_IDS: usize = 500;

#[async_trait]
impl Tasks for TasksService {
    async fn get_tasks(&self, _ctx: &CallContext, request: GetTasks) -> Result<Vec<TaskSummary>> {
        if request.ids.len() > MAX_IDS {
            return Err(Error::invalid_field(
                "/ids",
                "too_many",
                format!("must have at most {MAX_IDS} entries"),
            ));
        }
        let mut tasks = store::tasks::list_by_ids(&self.db, &request.ids).await?;
        tasks.retain(Task::is_live);
        store::people::attach(&self.db, &mut tasks).await?;
        let mut projects: Vec<ProjectId> = tasks.iter().map(|task| task.project_id).collect();
        projects.sort_unstable();
        projects.dedup();
        let keys: HashMap<ProjectId, String> = store::tasks::list_project_keys(&self.db, &projects).await?.into_iter().collect();
        let summary = |task: Task| {
            let key = human_key(keys.get(&task.project_id)?, task.number);
            Some(TaskSummary {
                id: task.id,
                workspace_id: task.workspace_id,
                project_id: task.project_id,
                key,
                title: task.title,
                assignee_ids: task.assignee_ids,
                creator_id: task.creator_id,
            })
        };
        Ok(tasks.into_iter().filter_map(summary).collect())
    }
}
