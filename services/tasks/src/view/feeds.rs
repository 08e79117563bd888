//! Calendar feeds.

use kernel::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::feed::{Feed, FeedId};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({"id": "01910000-0000-7000-8000-000000000081", "name": "My tasks", "query": "assignee=me&status=open,in_progress",
    "created_at": "2026-11-21T09:30:00Z"}))]
pub struct FeedView {
    pub id: FeedId,
    #[schema(example = "My tasks")]
    pub name: String,
    /// Filters in the words of `GET /v1/tasks`.
    #[schema(example = "assignee=me&status=open,in_progress")]
    pub query: String,
    pub created_at: Timestamp,
}

impl From<Feed> for FeedView {
    fn from(feed: Feed) -> Self {
        Self {
            id: feed.id,
            name: feed.name,
            query: feed.query,
            created_at: feed.created_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FeedList {
    pub items: Vec<FeedView>,
}

/// A new feed with its secret link.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({"id": "01910000-0000-7000-8000-000000000081", "name": "My tasks", "query": "assignee=me&status=open,in_progress",
    "created_at": "2026-11-21T09:30:00Z", "path": "/v1/calendar/7Zk1nQ0v3m2Yb8cUu5rWqLx9sTtEaBdFgHjKpMzNoPQ"}))]
pub struct NewFeedView {
    #[serde(flatten)]
    pub feed: FeedView,
    /// Where calendars subscribe, below the address of this server. Whoever has it can read the feed; it is shown this
    /// once and not stored.
    pub path: String,
}
