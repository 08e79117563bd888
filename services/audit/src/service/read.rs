//! A page of a log.

use std::collections::{BTreeSet, HashMap};

use contracts::identity::GetUsers;
use kernel::cursor::Page;
use kernel::ids::UserId;
use kernel::{CallContext, Result, Timestamp};
use platform::Caller;

use super::access::Readable;
use super::views::{AuditEntryView, target_person};
use crate::AuditService;
use crate::model::{SealedEntry, log_id};
use crate::store::entries::{self, Direction, Filter, Position};

/// Size and start of a page.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    pub limit: u32,
    pub cursor: Option<String>,
}

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
        let after: Option<Position> = page
            .cursor
            .as_deref()
            .map(|cursor| self.toolkit.cursors.open(cursor, &binding))
            .transpose()?;
        let limit = page.limit as usize;
        let select = entries::page(
            log_id(readable.log()),
            filter,
            Direction::NewestFirst,
            after,
            u64::from(page.limit) + 1,
        );
        let mut rows = entries::list(&self.db, select).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if more => {
                let position: Position = (last.entry.occurred_at.as_micros(), last.entry.seq);
                Some(self.toolkit.cursors.seal(&position, &binding)?)
            }
            _ => None,
        };
        Ok(Page {
            items: self.views(&caller.call(), rows).await?,
            next_cursor,
            total: None,
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
