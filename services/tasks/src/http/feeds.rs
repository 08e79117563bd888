//! Calendar feeds.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};
use platform::Caller;
use platform::db::Reply;
use platform::http::{Body, Path, Problem};

use crate::TasksService;
use crate::command::CreateFeed;
use crate::model::feed::FeedId;
use crate::view::{FeedList, NewFeedView};

type Service = State<Arc<TasksService>>;

/// List one's calendar feeds
///
/// Without their links, which nobody can see again.
#[utoipa::path(get, path = "/v1/me/calendar-feeds", tag = "calendar-feeds", operation_id = "listCalendarFeeds",
    responses((status = 200, description = "The feeds", body = FeedList)))]
pub(super) async fn list_feeds(State(service): Service, caller: Caller) -> Result<impl IntoResponse, Problem> {
    Ok(Reply::plain(service.list_feeds(&caller).await?))
}

/// Make a calendar feed
///
/// The answer holds its secret link, this once. It is not kept for an `Idempotency-Key`: a repeated request makes another
/// feed.
#[utoipa::path(post, path = "/v1/me/calendar-feeds", tag = "calendar-feeds", operation_id = "createCalendarFeed", request_body = CreateFeed,
    responses(
        (status = 201, description = "The new feed with its link", body = NewFeedView),
        (status = 409, description = "There are too many feeds")))]
pub(super) async fn create_feed(
    State(service): Service,
    caller: Caller,
    Body(command): Body<CreateFeed>,
) -> Result<impl IntoResponse, Problem> {
    Ok(service.create_feed(&caller, command).await?)
}

/// Revoke a calendar feed
///
/// Its link is dead at once.
#[utoipa::path(delete, path = "/v1/me/calendar-feeds/{feed_id}", tag = "calendar-feeds", operation_id = "deleteCalendarFeed",
    params(("feed_id" = FeedId, Path)),
    responses((status = 204, description = "Revoked"), (status = 404, description = "No such feed, or somebody else's")))]
pub(super) async fn delete_feed(
    State(service): Service,
    caller: Caller,
    Path(feed_id): Path<FeedId>,
) -> Result<impl IntoResponse, Problem> {
    service.delete_feed(&caller, feed_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read a calendar feed
///
/// For calendars, which know nothing but the link: an iCalendar document (RFC 5545) with an event per task that is due, at
/// most 1,000, as far as the feed's owner can see them now.
#[utoipa::path(get, path = "/v1/calendar/{token}", tag = "calendar-feeds", operation_id = "readCalendarFeed", security(()),
    params(("token" = String, Path)),
    responses(
        (status = 200, description = "The calendar", body = String, content_type = "text/calendar",
            headers(("ETag" = String, description = "Changes with the content"))),
        (status = 404, description = "No such feed, or its owner is no longer active")))]
pub(super) async fn read_feed(State(service): Service, Path(token): Path<String>) -> Result<impl IntoResponse, Problem> {
    let calendar = service.render_feed(&token).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, "inline; filename=\"tasks.ics\"".to_owned()),
        (header::ETAG, calendar.tag),
    ];
    Ok((headers, calendar.text))
}
