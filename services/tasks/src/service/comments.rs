//! Comments on a task, and its history.

use contracts::tasks::events::{CommentCreated, CommentDeleted, CommentUpdated};
use contracts::workspaces::ProjectAccess;
use kernel::cursor::Page;
use kernel::ids::{CommentId, EntityId, TaskId, Uuid};
use kernel::roles::Permission;
use kernel::{Error, Result, Timestamp};
use platform::Caller;
use platform::db::Reply;
use platform::http::IfMatch;
use serde_json::{Value, json};

use super::decide::Decider;
use super::draft::task_ref;
use super::{Draft, TasksService, permit, writable_project};
use crate::command::WriteComment;
use crate::error::TasksError;
use crate::model::{Comment, MAX_TEXT, Task, mentions, text};
use crate::store;
use crate::store::tasks::{Counts, TASK_READ_ONLY};
use crate::view::{ActivityView, CommentView};

/// Longest excerpt in an event, in characters.
const EXCERPT: usize = 200;

impl TasksService {
    /// Oldest first.
    pub(crate) async fn list_comments(
        &self,
        caller: &Caller,
        task_id: TaskId,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<CommentView>> {
        self.task(caller, task_id, Permission::TaskRead).await?;
        let binding = format!("comments|{task_id}|{}", caller.user_id()?);
        let after: Option<(Timestamp, Uuid)> = self.toolkit.cursors.start(cursor, &binding)?;
        let rows = store::comments::list(&self.db, task_id, after, limit + 1).await?;
        self.toolkit
            .cursors
            .page(rows, limit, &binding, |comment| (comment.created_at, comment.id.uuid()))
            .map(|page| page.map(CommentView::from))
    }

    /// Newest first.
    pub(crate) async fn list_activity(
        &self,
        caller: &Caller,
        task_id: TaskId,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<ActivityView>> {
        let (task, _) = self.task(caller, task_id, Permission::TaskRead).await?;
        let binding = format!("activity|{task_id}|{}", caller.user_id()?);
        let before: Option<(Timestamp, Uuid)> = self.toolkit.cursors.start(cursor, &binding)?;
        let rows = store::activity::list(&self.db, task_id, before, limit + 1).await?;
        let mut page = self
            .toolkit
            .cursors
            .page(rows, limit, &binding, |line| (line.created_at, line.id.uuid()))?;
        self.hide_foreign(caller, &task, &mut page.items).await?;
        Ok(page.map(ActivityView::from))
    }

    pub(crate) async fn create_comment(&self, caller: &Caller, task_id: TaskId, command: WriteComment) -> Result<Reply<CommentView>> {
        let (task, access) = self.commentable(caller, task_id, Permission::CommentWrite).await?;
        check_body(&command.body)?;
        let mentioned = Decider::new(self, caller).mentioned(&access, &command.body, "").await?;
        let comment = Comment {
            id: CommentId::generate(&*self.toolkit.clock),
            workspace_id: task.workspace_id,
            task_id,
            author_id: caller.actor.user_id(),
            body: command.body,
            version: 1,
            created_at: caller.now,
            updated_at: caller.now,
            edited_at: None,
        };
        let mut draft = Draft::new(self, caller);
        // First, because it locks the task and fails when the task was deleted meanwhile.
        store::tasks::adjust_counts(&mut draft.unit, task_id, &comments(1), caller.now, Some(TASK_READ_ONLY));
        store::comments::insert(&mut draft.unit, &comment);
        draft.record(&task, "comment_created", None, Value::Null, json!({ "comment_id": comment.id }));
        draft.unit.emit(&CommentCreated {
            task: counted(&task),
            comment_id: comment.id,
            excerpt: mentions::excerpt(&comment.body, EXCERPT),
            mentioned_ids: mentioned,
        });
        let location = format!("/v1/comments/{}", comment.id);
        let view = CommentView::from(comment);
        Ok(self
            .db
            .apply_reply(draft.unit, move |_| Ok(Reply::created(view, 1, location)))
            .await?)
    }

    pub(crate) async fn get_comment(&self, caller: &Caller, comment_id: CommentId) -> Result<CommentView> {
        let (comment, _, _) = self.comment(caller, comment_id).await?;
        Ok(comment.into())
    }

    /// Only its author may; not even an owner puts words into somebody's mouth.
    pub(crate) async fn update_comment(
        &self,
        caller: &Caller,
        comment_id: CommentId,
        if_match: &IfMatch,
        command: WriteComment,
    ) -> Result<Reply<CommentView>> {
        let (old, task, access) = self.comment(caller, comment_id).await?;
        permit(&access, Permission::CommentWrite)?;
        if old.author_id != caller.actor.user_id() {
            return Err(TasksError::NotAuthor.into());
        }
        writable(&task, &access)?;
        if_match.check_or_require(old.version, access.strict_concurrency)?;
        check_body(&command.body)?;
        let mentioned = Decider::new(self, caller).mentioned(&access, &command.body, &old.body).await?;
        let mut draft = Draft::new(self, caller);
        let mut new = old.clone();
        if new.body != command.body {
            new.body = command.body;
            new.version = old.version + 1;
            new.updated_at = caller.now;
            new.edited_at = Some(caller.now);
            store::comments::update(&mut draft.unit, &new, old.version);
            draft.record(&task, "comment_updated", None, Value::Null, json!({ "comment_id": new.id }));
            draft.unit.emit(&CommentUpdated {
                task: task_ref(&task),
                comment_id,
                mentioned_ids: mentioned,
            });
        }
        let (view, version) = (CommentView::from(new.clone()), new.version);
        Ok(self.db.apply_reply(draft.unit, move |_| Ok(Reply::ok(view, version))).await?)
    }

    /// For good: its author may, and who moderates the project.
    pub(crate) async fn delete_comment(&self, caller: &Caller, comment_id: CommentId, if_match: &IfMatch) -> Result<()> {
        let (comment, task, access) = self.comment(caller, comment_id).await?;
        let own = comment.author_id == caller.actor.user_id();
        permit(
            &access,
            if own {
                Permission::CommentWrite
            } else {
                Permission::CommentModerate
            },
        )?;
        writable(&task, &access)?;
        if_match.check_or_require(comment.version, access.strict_concurrency)?;
        let mut draft = Draft::new(self, caller);
        store::tasks::adjust_counts(&mut draft.unit, task.id, &comments(-1), caller.now, Some(TASK_READ_ONLY));
        store::comments::delete(&mut draft.unit, &comment);
        draft.record(&task, "comment_deleted", None, json!({ "comment_id": comment.id }), Value::Null);
        draft.unit.emit(&CommentDeleted {
            task: counted(&task),
            comment_id,
        });
        self.db.apply(draft.unit).await?;
        Ok(())
    }

    /// A comment on a live task the caller can read.
    async fn comment(&self, caller: &Caller, comment_id: CommentId) -> Result<(Comment, Task, ProjectAccess)> {
        let comment = store::comments::find(&self.db, comment_id)
            .await?
            .ok_or(TasksError::CommentNotFound)?;
        match self.task(caller, comment.task_id, Permission::TaskRead).await {
            Ok((task, access)) => Ok((comment, task, access)),
            Err(error) if error.kind == kernel::ErrorKind::NotFound => Err(TasksError::CommentNotFound.into()),
            Err(error) => Err(error),
        }
    }

    async fn commentable(&self, caller: &Caller, task_id: TaskId, permission: Permission) -> Result<(Task, ProjectAccess)> {
        let (task, access) = self.task(caller, task_id, permission).await?;
        writable(&task, &access)?;
        Ok((task, access))
    }
}

/// What every change next to a task asks: neither it nor its project is archived.
pub(super) fn writable(task: &Task, access: &ProjectAccess) -> Result<()> {
    writable_project(access)?;
    if task.archived_at.is_some() {
        return Err(TasksError::TaskArchived.into());
    }
    Ok(())
}

const fn comments(delta: i32) -> Counts {
    Counts {
        comments: delta,
        subtasks: 0,
        done: 0,
    }
}

/// The task as it is once its comment is counted.
fn counted(task: &Task) -> contracts::tasks::events::TaskRef {
    let mut reference = task_ref(task);
    reference.version += 1;
    reference
}

fn check_body(body: &str) -> Result<()> {
    let mut errors = Vec::new();
    text::markdown(body, MAX_TEXT, "/body", &mut errors);
    if body.trim().is_empty() {
        errors.push(kernel::FieldError::new("/body", "blank", "must not be blank"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}
