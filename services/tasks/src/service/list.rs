//! Lists and search across projects.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::identity::GetUsers;
use contracts::workspaces::{ListProjectAccess, ProjectAccess};
use kernel::cursor::Page;
use kernel::ids::{ProjectId, TaskId, UserId, WorkspaceId};
use kernel::roles::Permission;
use kernel::{Result, Timestamp};
use platform::Caller;

use super::TasksService;
use crate::model::{LabelId, Priority, StateId, Status, parse_human_key, terms};
use crate::store;
use crate::store::list::{Archived, Filter, Named, Parent, Place, Sort, TextFilter};
use crate::view::{LabelView, PersonView, ProjectView, TaskItem, TaskView};

/// Whom a filter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Person {
    Me,
    Nobody,
    User(UserId),
}

/// What a request asks to see. Its `Debug` text binds cursors, so it holds nothing but filter and sort.
#[derive(Debug, Clone, Default)]
pub(crate) struct Criteria {
    pub workspace_id: Option<WorkspaceId>,
    pub project_ids: Vec<ProjectId>,
    /// Key of the project, number of the task.
    pub key: Option<(String, i64)>,
    pub statuses: Vec<Status>,
    pub states: Vec<StateId>,
    pub assignees: Vec<Person>,
    pub creators: Vec<Person>,
    pub labels: Vec<LabelId>,
    pub priorities: Vec<Priority>,
    pub due_before: Option<Timestamp>,
    pub due_after: Option<Timestamp>,
    pub updated_since: Option<Timestamp>,
    pub parent: Option<Parent>,
    pub archived: Archived,
    pub deleted: bool,
    pub q: Option<String>,
    pub sorts: Vec<Sort>,
}

/// How the page shall look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub limit: u64,
    pub cursor: Option<String>,
    pub include_total: bool,
    /// Only these members.
    pub fields: Option<Vec<String>>,
    pub expand: Expand,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Expand {
    pub assignees: bool,
    pub labels: bool,
    pub project: bool,
}

impl Expand {
    pub fn any(self) -> bool {
        self.assignees || self.labels || self.project
    }
}

impl TasksService {
    /// Tasks of all projects the caller can read, narrowed by the criteria. Ids of foreign projects, labels or people
    /// simply match nothing.
    pub(crate) async fn list_tasks(&self, caller: &Caller, criteria: Criteria, shape: Shape) -> Result<Page<TaskItem>> {
        let mut projects = self.readable_projects(caller, criteria.workspace_id).await?;
        if !criteria.project_ids.is_empty() {
            projects.retain(|access| criteria.project_ids.contains(&access.project_id));
        }
        self.list_in(caller, projects, criteria, shape).await
    }

    pub(crate) async fn list_project_tasks(
        &self,
        caller: &Caller,
        project_id: ProjectId,
        mut criteria: Criteria,
        shape: Shape,
    ) -> Result<Page<TaskItem>> {
        let access = self.project(caller, project_id, Permission::TaskRead).await?;
        criteria.project_ids = vec![project_id];
        self.list_in(caller, vec![access], criteria, shape).await
    }

    pub(crate) async fn readable_projects(&self, caller: &Caller, workspace_id: Option<WorkspaceId>) -> Result<Vec<ProjectAccess>> {
        let request = ListProjectAccess {
            user_id: caller.user_id()?,
            workspace_id,
        };
        let mut projects = self.workspaces.list_project_access(&caller.call(), request).await?;
        projects.retain(|access| access.role.permits(Permission::TaskRead));
        Ok(projects)
    }

    async fn list_in(&self, caller: &Caller, projects: Vec<ProjectAccess>, criteria: Criteria, shape: Shape) -> Result<Page<TaskItem>> {
        let me = caller.user_id()?;
        let binding = format!("tasks|{me}|{criteria:?}");
        let after: Option<Place> = self.toolkit.cursors.start(shape.cursor.as_deref(), &binding)?;
        let filter = self.planned_filter(&criteria, &projects, me).await?;
        let tasks = store::list::list(&self.db, &filter, &criteria.sorts, after.as_ref(), shape.limit + 1).await?;
        let page = self
            .toolkit
            .cursors
            .page(tasks, shape.limit, &binding, |task| Place::of(task, &criteria.sorts))?;
        let total = if shape.include_total {
            Some(store::list::count(&self.db, &filter).await?)
        } else {
            None
        };
        let projects: HashMap<ProjectId, ProjectAccess> = projects.into_iter().map(|access| (access.project_id, access)).collect();
        let key = |id: &ProjectId| projects.get(id).map_or("", |access| access.project_key.as_str());
        let mut views: Vec<TaskView> = page
            .items
            .into_iter()
            .map(|task| {
                let project_key = key(&task.project_id);
                TaskView::new(task, project_key)
            })
            .collect();
        self.expand(caller, &mut views, &projects, shape.expand).await?;
        Ok(Page {
            items: views.into_iter().map(|view| TaskItem::new(view, shape.fields.as_deref())).collect(),
            next_cursor: page.next_cursor,
            total,
        })
    }

    /// The filter of a list, with the word that its search starts from.
    pub(super) async fn planned_filter(&self, criteria: &Criteria, projects: &[ProjectAccess], me: UserId) -> Result<Filter> {
        let mut filter = filter(criteria, projects, me);
        // What can no longer be restored is gone, whether the sweep has come by or not.
        let kept = self.config.restore_time();
        filter.deleted_since = criteria.deleted.then(|| self.toolkit.clock.now().minus(kept));
        if let Some(text) = &mut filter.text {
            text.rare = store::search::find_rare(&self.db, filter.projects.keys().copied(), &text.query).await?;
        }
        Ok(filter)
    }

    pub(crate) async fn get_task_expanded(&self, caller: &Caller, task_id: TaskId, expand: Expand) -> Result<TaskView> {
        let (task, access) = self.task(caller, task_id, Permission::TaskRead).await?;
        let mut views = [TaskView::new(task, &access.project_key)];
        let projects = HashMap::from([(access.project_id, access)]);
        self.expand(caller, &mut views, &projects, expand).await?;
        let [view] = views;
        Ok(view)
    }

    /// One call for all people, one statement for all labels.
    async fn expand(
        &self,
        caller: &Caller,
        views: &mut [TaskView],
        projects: &HashMap<ProjectId, ProjectAccess>,
        expand: Expand,
    ) -> Result<()> {
        if expand.assignees {
            let people = self.people(caller, views).await?;
            for view in views.iter_mut() {
                view.assignees = Some(view.assignee_ids.iter().filter_map(|id| people.get(id).cloned()).collect());
            }
        }
        if expand.labels {
            let ids: BTreeSet<LabelId> = views.iter().flat_map(|view| view.label_ids.iter().copied()).collect();
            let ids: Vec<LabelId> = ids.into_iter().collect();
            let labels = store::labels::list_by_ids(&self.db, &ids).await?;
            let labels: HashMap<LabelId, LabelView> = labels.into_iter().map(|label| (label.id, label.into())).collect();
            for view in views.iter_mut() {
                view.labels = Some(view.label_ids.iter().filter_map(|id| labels.get(id).cloned()).collect());
            }
        }
        if expand.project {
            for view in views.iter_mut() {
                view.project = projects.get(&view.project_id).map(|access| ProjectView {
                    id: access.project_id,
                    key: access.project_key.clone(),
                    name: access.project_name.clone(),
                    archived: access.archived,
                });
            }
        }
        Ok(())
    }

    async fn people(&self, caller: &Caller, views: &[TaskView]) -> Result<HashMap<UserId, PersonView>> {
        let ids: BTreeSet<UserId> = views.iter().flat_map(|view| view.assignee_ids.iter().copied()).collect();
        let ids: Vec<UserId> = ids.into_iter().collect();
        let mut people = HashMap::new();
        // The contract takes 500 at a time; a page with more different people than that is rare.
        for chunk in ids.chunks(500) {
            let request = GetUsers { ids: chunk.to_vec() };
            for user in self.identity.get_users(&caller.call(), request).await? {
                people.insert(
                    user.id,
                    PersonView {
                        id: user.id,
                        name: user.name,
                    },
                );
            }
        }
        Ok(people)
    }
}

fn filter(criteria: &Criteria, projects: &[ProjectAccess], me: UserId) -> Filter {
    let user = |person: &Person| match person {
        Person::Me => Some(me),
        Person::User(id) => Some(*id),
        Person::Nobody => None,
    };
    let mut by_workspace: BTreeMap<WorkspaceId, Vec<ProjectId>> = BTreeMap::new();
    let wanted = |access: &&ProjectAccess| criteria.key.as_ref().is_none_or(|(key, _)| access.project_key == *key);
    for access in projects.iter().filter(wanted) {
        by_workspace.entry(access.workspace_id).or_default().push(access.project_id);
    }
    // In one order, whatever the neighbour's: the same list has the same statement.
    for projects in by_workspace.values_mut() {
        projects.sort_unstable();
    }
    Filter {
        ids: Vec::new(),
        projects: by_workspace,
        number: criteria.key.as_ref().map(|(_, number)| *number),
        statuses: criteria.statuses.clone(),
        states: criteria.states.clone(),
        assignees: criteria.assignees.iter().filter_map(user).collect(),
        unassigned: criteria.assignees.contains(&Person::Nobody),
        creators: criteria.creators.iter().filter_map(user).collect(),
        labels: criteria.labels.clone(),
        priorities: criteria.priorities.clone(),
        due_before: criteria.due_before,
        due_after: criteria.due_after,
        updated_since: criteria.updated_since,
        parent: criteria.parent,
        archived: criteria.archived,
        deleted_since: None,
        text: criteria.q.as_deref().map(|q| text_filter(q, projects)),
    }
}

fn text_filter(q: &str, projects: &[ProjectAccess]) -> TextFilter {
    let named = parse_human_key(q).map(|(key, number)| {
        let named = projects.iter().filter(|access| access.project_key == key);
        Named {
            projects: named.map(|access| access.project_id).collect(),
            number,
        }
    });
    TextFilter {
        query: terms::parse_query(q),
        rare: None,
        named: named.filter(|named| !named.projects.is_empty()),
    }
}
