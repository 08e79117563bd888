//! The inbox: list, count, mark, dismiss. Everybody sees only their own.

use kernel::cursor::Page;
use kernel::ids::{NotificationId, UserId, WorkspaceId};
use kernel::{Result, Timestamp};
use platform::Caller;
use platform::db::{Reply, Unit};

use super::views::{NotificationView, ReadAllResult, UnreadCount};
use crate::NotificationsService;
use crate::error::NotificationsError;
use crate::model::Kind;
use crate::store::inbox::{self as store, Filter, NotificationRow, Scope};

/// Which page of the inbox.
#[derive(Debug, Clone)]
pub(crate) struct ListInbox {
    pub unread: Option<bool>,
    pub workspace_id: Option<WorkspaceId>,
    pub kinds: Vec<Kind>,
    pub cursor: Option<String>,
    pub limit: u32,
    pub include_total: bool,
}

impl ListInbox {
    /// A cursor holds only for the same person and filter.
    fn binding(&self, user_id: UserId) -> String {
        let mut kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        kinds.sort_unstable();
        format!(
            "notifications|{user_id}|{:?}|{:?}|{}",
            self.unread,
            self.workspace_id,
            kinds.join(",")
        )
    }
}

impl NotificationsService {
    pub(crate) async fn list_inbox(&self, caller: &Caller, request: ListInbox) -> Result<Page<NotificationView>> {
        let user_id = caller.user_id()?;
        let binding = request.binding(user_id);
        let position: Option<(i64, NotificationId)> = self.toolkit.cursors.start(request.cursor.as_deref(), &binding)?;
        let filter = Filter {
            unread: request.unread,
            workspace_id: request.workspace_id,
            kinds: request.kinds,
            until: None,
            hidden: self.hidden_scopes(caller, user_id).await?,
        };
        let rows = store::list(&self.db, user_id, &filter, position, u64::from(request.limit) + 1).await?;
        let page = self
            .toolkit
            .cursors
            .page(rows, request.limit, &binding, |row| (row.created_at.as_micros(), row.id))?;
        let total = if request.include_total {
            Some(store::count(&self.db, user_id, &filter).await?.unsigned_abs())
        } else {
            None
        };
        Ok(Page {
            total,
            ..page.map(NotificationView::from)
        })
    }

    pub(crate) async fn count_unread(&self, caller: &Caller) -> Result<UnreadCount> {
        let user_id = caller.user_id()?;
        let filter = Filter {
            unread: Some(true),
            hidden: self.hidden_scopes(caller, user_id).await?,
            ..Filter::default()
        };
        let unread = store::count(&self.db, user_id, &filter).await?.unsigned_abs();
        Ok(UnreadCount { unread })
    }

    pub(crate) async fn get_notification(&self, caller: &Caller, id: NotificationId) -> Result<NotificationRow> {
        let user_id = caller.user_id()?;
        let row = store::find(&self.db, user_id, id)
            .await?
            .ok_or(NotificationsError::NotificationNotFound)?;
        if let (true, Some(workspace_id)) = (row.kind.needs_access(), row.workspace_id) {
            let scope = Scope {
                workspace_id,
                project_id: row.project_id,
            };
            if !self.can_read(&caller.call(), user_id, scope).await? {
                return Err(NotificationsError::NotificationNotFound.into());
            }
        }
        Ok(row)
    }

    /// Marks read or unread; repeating it changes nothing, not even the time of the first reading.
    pub(crate) async fn set_read(&self, caller: &Caller, id: NotificationId, read: bool) -> Result<()> {
        let row = self.get_notification(caller, id).await?;
        if row.read_at.is_some() == read {
            return Ok(());
        }
        let mut unit = Unit::new(caller);
        store::set_read(&mut unit, row.user_id, id, read.then_some(caller.now));
        self.db.apply(unit).await?;
        Ok(())
    }

    /// Marks everything read that the reader can have seen at `before` (now, when absent).
    pub(crate) async fn read_all(
        &self,
        caller: &Caller,
        workspace_id: Option<WorkspaceId>,
        before: Option<Timestamp>,
    ) -> Result<Reply<ReadAllResult>> {
        let user_id = caller.user_id()?;
        let until = before.map_or(caller.now, |before| before.min(caller.now));
        let filter = Filter {
            unread: Some(true),
            workspace_id,
            until: Some(until),
            ..Filter::default()
        };
        let mut unit = Unit::new(caller);
        let marked = store::read_count(&mut unit, user_id, &filter);
        store::read_all(&mut unit, user_id, workspace_id, until, caller.now);
        let reply = self
            .db
            .apply_reply(unit, move |out| {
                let marked = out.first(&marked)?.0.unsigned_abs();
                Ok(Reply::plain(ReadAllResult { marked }))
            })
            .await?;
        Ok(reply)
    }

    pub(crate) async fn dismiss(&self, caller: &Caller, id: NotificationId) -> Result<()> {
        let row = self.get_notification(caller, id).await?;
        let mut unit = Unit::new(caller);
        store::dismiss(&mut unit, row.user_id, id, caller.now);
        self.db.apply(unit).await?;
        Ok(())
    }
}
