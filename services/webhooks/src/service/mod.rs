//! Use cases: authorise, read, decide, build one unit.

mod access;
pub(crate) mod deliveries;
pub(crate) mod dispatch;
pub(crate) mod notice;
pub(crate) mod sending;
pub(crate) mod takeout;
pub(crate) mod views;
pub(crate) mod webhooks;

use std::sync::LazyLock;

use contracts::catalog::EVENTS;
use kernel::Result;
use kernel::cursor::Page;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::WebhooksService;
use crate::model::offered_types;

/// Public names of the events that webhooks send.
pub(crate) static OFFERED: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| offered_types(EVENTS.iter().filter_map(|event| event.public_type)).collect());

/// Size and start of a page.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    pub limit: u32,
    pub cursor: Option<String>,
}

impl PageRequest {
    /// One more row than asked for tells whether a next page exists.
    pub fn rows(&self) -> u64 {
        u64::from(self.limit) + 1
    }
}

impl WebhooksService {
    /// Where the page starts; 400 for a cursor of another list or person.
    fn open_cursor<T: DeserializeOwned>(&self, page: &PageRequest, binding: &str) -> Result<Option<T>> {
        page.cursor
            .as_deref()
            .map(|cursor| self.toolkit.cursors.open(cursor, binding))
            .transpose()
    }

    /// Cuts the one row too many and seals where the next page starts.
    fn page_of<R, P: Serialize>(&self, mut rows: Vec<R>, page: &PageRequest, binding: &str, position: impl Fn(&R) -> P) -> Result<Page<R>> {
        let limit = page.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(self.toolkit.cursors.seal(&position(last), binding)?),
            _ => None,
        };
        Ok(Page {
            items: rows,
            next_cursor,
            total: None,
        })
    }
}
