//! Calendar feeds: what is due, for calendars that subscribe to a secret link.
//!
//! A feed shows what its owner may see at that moment: it is filtered by the projects the owner can read now, so whoever
//! is removed, demoted to nothing, locked or deleted has an empty feed or none from the next request on.

use std::collections::HashMap;
use std::time::Duration;

use contracts::audit::{Action, Entry, Log};
use contracts::identity::GetUsers;
use contracts::workspaces::{ListProjectAccess, ProjectAccess};
use kernel::ids::{EntityId, ProjectId, UserId};
use kernel::roles::Permission;
use kernel::{CallContext, Error, Result};
use platform::Caller;
use platform::db::{Guard, Reply, Unit};

use super::TasksService;
use super::views::checked_query;
use crate::command::CreateFeed;
use crate::error::TasksError;
use crate::model::feed::{DEFAULT_QUERY, Feed, FeedId, FeedToken, MAX_EVENTS, MAX_FEEDS, PAST_DAYS, hash, hash_of_presented};
use crate::model::ics::{self, Event};
use crate::model::saved::MAX_NAME;
use crate::model::{Status, Task, human_key, text};
use crate::query::parse_saved;
use crate::store;
use crate::store::list::{Sort, SortKey};
use crate::view::{FeedList, FeedView, NewFeedView};

const NO_FEED: Guard = Guard::not_found("tasks.feed.not_found", "There is no such feed.");

/// A calendar as it is sent.
#[derive(Debug)]
pub(crate) struct Calendar {
    pub text: String,
    /// For the `ETag`, with its quotes.
    pub tag: String,
}

impl TasksService {
    pub(crate) async fn list_feeds(&self, caller: &Caller) -> Result<FeedList> {
        let feeds = store::feeds::list(&self.db, caller.user_id()?, MAX_FEEDS as u64).await?;
        Ok(FeedList {
            items: feeds.into_iter().map(FeedView::from).collect(),
        })
    }

    pub(crate) async fn create_feed(&self, caller: &Caller, command: CreateFeed) -> Result<Reply<NewFeedView>> {
        let user_id = caller.user_id()?;
        let mut errors = Vec::new();
        let name = text::line(&command.name, MAX_NAME, "/name", &mut errors);
        let query = checked_query(command.query.as_deref().unwrap_or(DEFAULT_QUERY), None, &mut errors);
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        if store::feeds::list(&self.db, user_id, MAX_FEEDS as u64).await?.len() >= MAX_FEEDS {
            return Err(TasksError::TooManyFeeds.into());
        }
        let feed = Feed {
            id: FeedId::generate(&*self.toolkit.clock),
            user_id,
            name,
            query,
            created_at: caller.now,
        };
        let token = FeedToken::random();
        // The reply holds the token, so it is not kept for an `Idempotency-Key`.
        let caller = caller.keeping_no_reply();
        let mut unit = Unit::new(&caller);
        store::feeds::insert(&mut unit, &feed, &token.hash());
        unit.record(entry(&feed, Action::CalendarFeedCreated).with("query", &feed.query));
        self.db.apply(unit).await?;
        let location = format!("/v1/me/calendar-feeds/{}", feed.id);
        let view = NewFeedView {
            feed: feed.into(),
            path: format!("/v1/calendar/{}", token.as_str()),
        };
        Ok(Reply::created(view, 1, location))
    }

    /// The link is dead from now on.
    pub(crate) async fn delete_feed(&self, caller: &Caller, feed_id: FeedId) -> Result<()> {
        let user_id = caller.user_id()?;
        let feeds = store::feeds::list(&self.db, user_id, MAX_FEEDS as u64).await?;
        let feed = feeds.iter().find(|feed| feed.id == feed_id).ok_or(TasksError::FeedNotFound)?;
        let mut unit = Unit::new(caller);
        // Of two at the same moment one fails, and with it its entry in the log.
        store::feeds::delete(&mut unit, user_id, feed_id, NO_FEED);
        unit.record(entry(feed, Action::CalendarFeedDeleted));
        self.db.apply(unit).await?;
        Ok(())
    }

    /// What the holder of a link sees: the tasks that are due next, and those overdue for at most 90 days.
    pub(crate) async fn render_feed(&self, token: &str) -> Result<Calendar> {
        let token_hash = hash_of_presented(token).ok_or(TasksError::FeedNotFound)?;
        let feed = store::feeds::find_by_token(&self.db, &token_hash).await?;
        let feed = feed.ok_or(TasksError::FeedNotFound)?;
        let now = self.toolkit.clock.now();
        let context = CallContext::system("tasks-feed", now);
        if !self.is_active(&context, feed.user_id).await? {
            return Err(TasksError::FeedNotFound.into());
        }
        let mut criteria = parse_saved(&feed.query).map_err(|_| TasksError::ViewUnreadable)?;
        let mut readable = self.projects_of(&context, feed.user_id).await?;
        if !criteria.project_ids.is_empty() {
            readable.retain(|access| criteria.project_ids.contains(&access.project_id));
        }
        let oldest = now.minus(Duration::from_secs(PAST_DAYS * 86_400));
        criteria.due_after = Some(criteria.due_after.map_or(oldest, |after| after.max(oldest)));
        let filter = self.planned_filter(&criteria, &readable, feed.user_id).await?;
        let by_due = [Sort {
            key: SortKey::DueAt,
            descending: false,
        }];
        let tasks = store::list::list(&self.db, &filter, &by_due, None, MAX_EVENTS).await?;
        let keys: HashMap<ProjectId, &str> = readable
            .iter()
            .map(|access| (access.project_id, access.project_key.as_str()))
            .collect();
        let events: Vec<Event> = tasks
            .iter()
            .filter_map(|task| event(task, keys.get(&task.project_id).copied().unwrap_or_default()))
            .collect();
        let text = ics::calendar(&feed.name, &events);
        let tag = format!("\"{}\"", &hash(&text)[..32]);
        Ok(Calendar { text, tag })
    }

    async fn is_active(&self, context: &CallContext, user_id: UserId) -> Result<bool> {
        let request = GetUsers { ids: vec![user_id] };
        let users = self.identity.get_users(context, request).await?;
        Ok(users.into_iter().any(|user| user.id == user_id && user.active))
    }

    async fn projects_of(&self, context: &CallContext, user_id: UserId) -> Result<Vec<ProjectAccess>> {
        let request = ListProjectAccess {
            user_id,
            workspace_id: None,
        };
        let mut projects = self.workspaces.list_project_access(context, request).await?;
        projects.retain(|access| access.role.permits(Permission::TaskRead));
        Ok(projects)
    }
}

/// For the security log of its owner: whoever holds the link reads without signing in.
fn entry(feed: &Feed, action: Action) -> Entry {
    Entry::new(Log::Account(feed.user_id), action, "calendar_feed")
        .id(feed.id)
        .name(feed.name.as_str())
}

fn event(task: &Task, project_key: &str) -> Option<Event> {
    let due = task.due?;
    Some(Event {
        uid: format!("{}@guildhall", task.id),
        summary: format!("{} {}", human_key(project_key, task.number), task.title),
        date: due.date,
        at: due.at,
        changed_at: task.updated_at,
        version: task.version,
        cancelled: task.status == Status::Cancelled,
    })
}
