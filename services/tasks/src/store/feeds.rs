//! Calendar feeds.

use kernel::ids::UserId;
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use super::{id, micros};
use crate::model::feed::{Feed, FeedId};

impl FromRow for Feed {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            user_id: row.id(1)?,
            name: row.get(2)?,
            query: row.get(3)?,
            created_at: row.get(4)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns(["id", "user_id", "name", "query", "created_at"])
        .from("task_feeds")
        .take()
}

/// A person's feeds, oldest first.
pub(crate) async fn list(db: &Db, user_id: UserId, limit: u64) -> Result<Vec<Feed>, DbError> {
    let mut select = select();
    select
        .and_where(Expr::col("user_id").eq(id(user_id)))
        .order_by("created_at", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(limit);
    db.all(select).await
}

pub(crate) async fn find_by_token(db: &Db, token_hash: &str) -> Result<Option<Feed>, DbError> {
    let mut select = select();
    select.and_where(Expr::col("token_hash").eq(token_hash));
    db.opt(select).await
}

pub(crate) fn insert(unit: &mut Unit, feed: &Feed, token_hash: &str) {
    let insert = Query::insert()
        .into_table("task_feeds")
        .columns(["id", "user_id", "name", "query", "created_at", "token_hash"])
        .values_panic([
            id(feed.id).into(),
            id(feed.user_id).into(),
            feed.name.as_str().into(),
            feed.query.as_str().into(),
            micros(feed.created_at).into(),
            token_hash.into(),
        ])
        .take();
    unit.insert(insert);
}

/// Of this person, or the unit fails.
pub(crate) fn delete(unit: &mut Unit, user_id: UserId, feed_id: FeedId, guard: Guard) {
    let delete = Query::delete()
        .from_table("task_feeds")
        .and_where(Expr::col("id").eq(id(feed_id)))
        .and_where(Expr::col("user_id").eq(id(user_id)))
        .take();
    unit.delete_guarded(delete, guard);
}

pub(crate) fn delete_of_user(unit: &mut Unit, user_id: UserId) {
    let delete = Query::delete()
        .from_table("task_feeds")
        .and_where(Expr::col("user_id").eq(id(user_id)))
        .take();
    unit.delete(delete);
}
