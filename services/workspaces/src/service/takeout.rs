//! Workspaces, their people and projects, as files.

use async_trait::async_trait;
use kernel::{Error, Result};
use platform::Caller;
use platform::takeout::{Disclosure, Given, PART_ROWS, Part, Subject, Takeout};

use crate::WorkspacesService;
use crate::model::ProjectState;
use kernel::cursor::PageRequest;

/// What becomes of each table.
pub const DISCLOSED: &[Disclosure] = &[
    Disclosure::new("workspaces", Given::In("workspaces"), Given::In("workspace")),
    Disclosure::new("members", Given::In("workspaces"), Given::In("members")),
    Disclosure::new("projects", Given::In("projects"), Given::In("projects")),
    Disclosure::new("project_members", Given::In("projects"), Given::In("project-members")),
    Disclosure::new(
        "invitations",
        Given::Not("an invitation is the workspace's, and says what its guest said"),
        Given::In("invitations"),
    ),
];

#[async_trait]
impl Takeout for WorkspacesService {
    fn files(&self, subject: Subject) -> &'static [&'static str] {
        match subject {
            Subject::Person => &["workspaces", "projects"],
            Subject::Workspace(_) => &[
                "workspace",
                "members",
                "projects",
                "deleted-projects",
                "project-members",
                "invitations",
            ],
        }
    }

    async fn part(&self, caller: &Caller, subject: Subject, file: &str, cursor: Option<String>) -> Result<Part> {
        let page = PageRequest { limit: PART_ROWS, cursor };
        match (subject, file) {
            (Subject::Person, "workspaces") => Part::page(self.list_workspaces(caller, false, page).await?),
            (Subject::Person, "projects") => Part::page(self.list_projects(caller, None, None, None, page).await?),
            (Subject::Workspace(id), "workspace") => Part::whole([self.get_workspace(caller, id).await?.body]),
            (Subject::Workspace(id), "members") => Part::page(self.list_members_page(caller, id, None, page).await?),
            (Subject::Workspace(id), "projects") => Part::page(self.list_projects(caller, Some(id), None, None, page).await?),
            (Subject::Workspace(id), "deleted-projects") => {
                let deleted = Some(ProjectState::Deleted);
                Part::page(self.list_projects(caller, Some(id), deleted, None, page).await?)
            }
            (Subject::Workspace(id), "project-members") => Part::page(self.list_all_project_members(caller, id, page).await?),
            (Subject::Workspace(id), "invitations") => Part::page(self.list_invitations(caller, id, None, page).await?),
            (_, other) => Err(Error::internal(format!("no file {other:?}"))),
        }
    }
}
