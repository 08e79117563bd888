//! Everything of a person, or of a workspace, in one archive: each service's files, sent while they are read.
//!
//! The services give what their routes show, by the same use cases and rights (`platform::takeout`); this puts it together. Parts are
//! read one after the other, not at one instant: whoever needs that makes a backup.

mod archive;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use audit::AuditService;
use axum::extract::State;
use axum::response::IntoResponse;
use contracts::workspaces::{GetMembership, Workspaces};
use futures_util::stream;
use kernel::ids::{UserId, WorkspaceId};
use kernel::roles::Permission;
use kernel::time::SharedClock;
use kernel::{Error, ErrorKind, Result, Timestamp};
use platform::Caller;
use platform::http::{OpenApiRouter, Path, Problem, download};
use platform::takeout::{Disclosure, Given, Subject, Takeout};
use serde_json::{Value, json};
use utoipa_axum::routes;

use archive::Archive;

use crate::compose::DISCLOSED;

/// Exports that are sent at the same time.
const AT_ONCE: usize = 16;
/// The longest that one may take; a client that reads slowly keeps its place no longer.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// One service's name and its share.
pub type Share = (&'static str, Arc<dyn Takeout>);

/// What the routes share.
pub struct Takeouts {
    shares: Vec<Share>,
    workspaces: Arc<dyn Workspaces>,
    audit: Arc<AuditService>,
    clock: SharedClock,
    running: Arc<Mutex<HashSet<UserId>>>,
}

impl Takeouts {
    pub fn new(shares: Vec<Share>, workspaces: Arc<dyn Workspaces>, audit: Arc<AuditService>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            shares,
            workspaces,
            audit,
            clock,
            running: Arc::default(),
        })
    }

    pub fn routes(self: Arc<Self>) -> OpenApiRouter {
        OpenApiRouter::new()
            .routes(routes!(export_me))
            .routes(routes!(export_workspace))
            .with_state(self)
    }

    /// 404 for strangers, 403 for those who do not own it.
    async fn permit(&self, caller: &Caller, subject: Subject) -> Result<()> {
        let Subject::Workspace(workspace_id) = subject else {
            return Ok(());
        };
        let request = GetMembership {
            user_id: caller.user_id()?,
            workspace_id,
        };
        let membership = self.workspaces.get_membership(&caller.call(), request).await?;
        let membership = membership.ok_or_else(|| Error::not_found("workspaces.workspace.not_found", "There is no such workspace."))?;
        if membership.permits(Permission::WorkspaceExport) {
            Ok(())
        } else {
            Err(Error::forbidden("workspaces.role.too_low", "Your role does not allow this."))
        }
    }

    /// One for each person, so that nobody takes the places of all.
    fn place(&self, user_id: UserId) -> Result<Place> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains(&user_id) {
            let detail = "An export of yours is still being sent.";
            let error = Error::new(ErrorKind::RateLimited, "export.running", detail);
            return Err(error.with_retry_after(Duration::from_secs(10)));
        }
        if running.len() >= AT_ONCE {
            return Err(Error::unavailable(Duration::from_secs(30)));
        }
        running.insert(user_id);
        Ok(Place {
            running: self.running.clone(),
            user_id,
        })
    }
}

/// Held while an export is sent.
struct Place {
    running: Arc<Mutex<HashSet<UserId>>>,
    user_id: UserId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.user_id);
    }
}

/// An export that is being sent.
struct Export {
    takeouts: Arc<Takeouts>,
    caller: Caller,
    subject: Subject,
    until: Timestamp,
    /// What is still to come; the first one is being read.
    files: VecDeque<(usize, &'static str)>,
    cursor: Option<String>,
    archive: Option<Archive>,
    _place: Place,
}

impl Export {
    async fn begin(takeouts: Arc<Takeouts>, caller: Caller, subject: Subject) -> Result<Self> {
        takeouts.permit(&caller, subject).await?;
        let place = takeouts.place(caller.user_id()?)?;
        takeouts.audit.record_takeout(&caller, subject).await?;
        let shares = takeouts.shares.iter().enumerate();
        let files = shares.flat_map(|(index, (_, share))| share.files(subject).iter().map(move |file| (index, *file)));
        let files: VecDeque<_> = files.collect();
        let mut archive = Archive::new(caller.now);
        archive.file("manifest.json", manifest(&takeouts, &caller, subject)?.as_bytes())?;
        Ok(Self {
            until: caller.now.plus(LONGEST),
            takeouts,
            caller,
            subject,
            files,
            cursor: None,
            archive: Some(archive),
            _place: place,
        })
    }

    fn file_name(&self) -> String {
        let day = self.caller.now.to_string();
        let day = day.get(..10).unwrap_or_default();
        match self.subject {
            Subject::Person => format!("my-data-{day}.zip"),
            Subject::Workspace(_) => format!("workspace-{day}.zip"),
        }
    }

    /// The next bytes; `None`: the archive is whole.
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(mut archive) = self.archive.take() else {
            return Ok(None);
        };
        let Some((index, file)) = self.files.front().copied() else {
            return archive.finish().map(Some);
        };
        self.caller.now = self.takeouts.clock.now();
        if self.caller.now > self.until {
            let minutes = LONGEST.as_secs() / 60;
            return Err(Error::new(
                ErrorKind::Timeout,
                "export.timeout",
                format!("The export took longer than {minutes} minutes."),
            ));
        }
        self.takeouts.permit(&self.caller, self.subject).await?;
        let (service, share) = &self.takeouts.shares[index];
        let first = self.cursor.is_none();
        let part = share.part(&self.caller, self.subject, file, self.cursor.take()).await?;
        if first {
            archive.open(&format!("{service}/{file}.jsonl"))?;
        }
        archive.lines(&part.items)?;
        self.cursor = part.next_cursor;
        if self.cursor.is_none() {
            self.files.pop_front();
        }
        let bytes = archive.take();
        self.archive = Some(archive);
        Ok(Some(bytes))
    }
}

/// What the archive holds, and what it does not and why.
fn manifest(takeouts: &Takeouts, caller: &Caller, subject: Subject) -> Result<String> {
    let given = |one: &Disclosure| match subject {
        Subject::Person => one.person,
        Subject::Workspace(_) => one.workspace,
    };
    let own = DISCLOSED
        .iter()
        .flat_map(|(service, tables)| tables.iter().map(move |table| (*service, table)));
    let left_out: Vec<Value> = own
        .filter_map(|(service, one)| match given(one) {
            Given::In(_) => None,
            Given::Not(reason) => Some(json!({ "service": service, "what": one.table, "reason": reason })),
        })
        .collect();
    let files: Vec<String> = takeouts
        .shares
        .iter()
        .flat_map(|(service, share)| share.files(subject).iter().map(move |file| format!("{service}/{file}.jsonl")))
        .collect();
    let workspace_id = match subject {
        Subject::Person => None,
        Subject::Workspace(id) => Some(id),
    };
    let manifest = json!({
        "format": "guildhall.export",
        "version": 1,
        "workspace_id": workspace_id,
        "user_id": caller.user_id()?,
        "exported_at": caller.now,
        "files": files,
        "left_out": left_out,
    });
    serde_json::to_string_pretty(&manifest).map_err(Error::internal)
}

async fn answer(takeouts: Arc<Takeouts>, caller: Caller, subject: Subject) -> Result<impl IntoResponse, Problem> {
    let mut export = Export::begin(takeouts, caller, subject).await?;
    let name = export.file_name();
    // The first part is read before the answer begins, so that what is wrong is a problem document.
    let first = export.next().await?;
    let rest = stream::try_unfold((first, export), |(first, mut export)| async move {
        let part = match first {
            Some(first) => Some(first),
            None => export.next().await?,
        };
        Ok(part.map(|part| (part, (None, export))))
    });
    Ok(download("application/zip", &name, rest))
}

/// Export everything of one's own
///
/// A zip archive of JSON Lines: profile, sessions and API keys (without secrets), memberships, projects, notifications and what one
/// chose about them, tasks one created or is assigned to, comments one wrote, views and calendar feeds, and the log of one's account. Of what lies in a
/// workspace only what one can read now. `manifest.json` names the files, and what is left out and why. One at a time.
#[utoipa::path(get, path = "/v1/me/export", tag = "exports", operation_id = "exportMe",
    responses((status = 200, description = "The archive", body = Vec<u8>, content_type = "application/zip")))]
async fn export_me(State(takeouts): State<Arc<Takeouts>>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    Box::pin(answer(takeouts, caller, Subject::Person)).await
}

/// Export a workspace
///
/// A zip archive of JSON Lines with everything of the workspace: members, invitations, projects, tasks with comments, history, relations
/// and recurrences, labels, states, shared views, webhooks without their secrets, the audit log. For owners. `manifest.json` names the files, and
/// what is left out and why. Sent while it is read, so what changes meanwhile may be in one file and not in another. One at a time.
#[utoipa::path(get, path = "/v1/workspaces/{workspace_id}/export", tag = "exports", operation_id = "exportWorkspace",
    params(("workspace_id" = WorkspaceId, Path)),
    responses(
        (status = 200, description = "The archive", body = Vec<u8>, content_type = "application/zip"),
        (status = 404, description = "No such workspace, or no access")))]
async fn export_workspace(
    State(takeouts): State<Arc<Takeouts>>,
    caller: Caller,
    Path(workspace_id): Path<WorkspaceId>,
) -> Result<impl IntoResponse, Problem> {
    Box::pin(answer(takeouts, caller, Subject::Workspace(workspace_id))).await
}
