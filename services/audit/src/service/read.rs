//! A page of a log.

use std::collections::{BTreeSet, HashMap};

use contracts::identity::GetUsers;
use kernel::cursor::{Page, PageRequest};
use kernel::ids::UserId;
use kernel::{CallContext, Result, Timestamp};
use platform::Caller;

use super::access::Readable;
use super::views::{AuditEntryView, target_person};
use crate::AuditService;
use crate::model::{SealedEntry, log_id};
use crate::store::entries::{self, Direction, Filter, Position};

/// The same text for the same question.
fn binding(readable: Readable, filter: &Filter, caller: &Caller) -> Result<String> {
    let micros = |time: Option<Timestamp>| time.map_or(String::new(), |time| time.as_micros().to_string());
    // As JSON, so that no value can pass for two.
    let parts = [
        filter.actions.join(","),
        filter.actor.map(|id| id.to_string()).unwrap_or_default(),
        filter.target_kind.clone().unwrap_or_default(),
        filter.target_id.clone().unwrap_or_default(),
        micros(filter.from),
        micros(filter.until),
    ];
    let parts = serde_json::to_string(&parts).map_err(kernel::Error::internal)?;
    Ok(format!("audit|{:?}|{parts}|{}", readable.log(), caller.user_id()?))
}

impl AuditService {
    /// Newest first.
    pub(crate) async fn list_entries(
        &self,
        caller: &Caller,
        readable: Readable,
        filter: &Filter,
        page: PageRequest,
    ) -> Result<Page<AuditEntryView>> {
        let binding = binding(readable, filter, caller)?;
        let after: Option<Position> = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let select = entries::page(log_id(readable.log()), filter, Direction::NewestFirst, after, page.rows());
        let rows = entries::list(&self.db, select).await?;
        let page = self.toolkit.cursors.page(rows, page.limit, &binding, |row| -> Position {
            (row.entry.occurred_at.as_micros(), row.entry.seq)
        })?;
        Ok(Page {
            items: self.views(&caller.call(), page.items).await?,
            next_cursor: page.next_cursor,
            total: page.total,
        })
    }

    /// With the names of the people in them, from one call.
    pub(crate) async fn views(&self, ctx: &CallContext, rows: Vec<SealedEntry>) -> Result<Vec<AuditEntryView>> {
        let people: BTreeSet<UserId> = rows
            .iter()
            .flat_map(|row| [row.entry.who.user_id, target_person(row)])
            .flatten()
            .collect();
        let mut names = HashMap::new();
        if !people.is_empty() {
            let request = GetUsers {
                ids: people.into_iter().collect(),
            };
            let users = self.identity.get_users(ctx, request).await?;
            names.extend(users.into_iter().map(|user| (user.id, user.name)));
        }
        Ok(rows.into_iter().map(|row| AuditEntryView::new(row, &names)).collect())
    }
}
