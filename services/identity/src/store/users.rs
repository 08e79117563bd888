//! Accounts.

use kernel::Timestamp;
use kernel::ids::{EntityId, UserId, Uuid};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};

use crate::model::user::{User, UserStatus};

const COLUMNS: [&str; 14] = [
    "id",
    "email",
    "email_verified",
    "pending_email",
    "name",
    "time_zone",
    "locale",
    "password_hash",
    "password_changed_at",
    "status",
    "instance_admin",
    "created_at",
    "updated_at",
    "version",
];

impl FromRow for User {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            email: row.get(1)?,
            email_verified: row.get(2)?,
            pending_email: row.get(3)?,
            name: row.get(4)?,
            time_zone: row.get(5)?,
            locale: row.get(6)?,
            password_hash: row.get(7)?,
            password_changed_at: row.get(8)?,
            status: row.parse(9)?,
            instance_admin: row.get(10)?,
            created_at: row.get(11)?,
            updated_at: row.get(12)?,
            version: row.get(13)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from("users").take()
}

pub(crate) async fn find(db: &Db, id: UserId) -> Result<Option<User>, DbError> {
    db.opt(select().and_where(Expr::col("id").eq(id.uuid())).take()).await
}

pub(crate) async fn find_by_email(db: &Db, email: &str) -> Result<Option<User>, DbError> {
    db.opt(select().and_where(Expr::col("email").eq(email)).take()).await
}

pub(crate) async fn list_by_ids(db: &Db, ids: &[UserId]) -> Result<Vec<User>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Padding to a power of two keeps the number of distinct (prepared) statements small.
    let mut values: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
    let last = ids[ids.len() - 1].uuid();
    values.resize(ids.len().next_power_of_two(), last);
    db.all(select().and_where(Expr::col("id").is_in(values)).take()).await
}

/// What the administrator's list asks for.
#[derive(Debug, Clone)]
pub(crate) struct UserFilter {
    /// Lower-cased part of address or name.
    pub(crate) text: Option<String>,
    pub(crate) status: Option<UserStatus>,
    pub(crate) limit: u64,
    /// The last row of the page before: newest first.
    pub(crate) after: Option<(Timestamp, UserId)>,
}

pub(crate) async fn list(db: &Db, filter: &UserFilter) -> Result<Vec<User>, DbError> {
    let mut query = select();
    if let Some(text) = &filter.text {
        query.and_where(Expr::col("search_folded").like(sea_query::LikeExpr::new(like_pattern(text)).escape('!')));
    }
    match filter.status {
        Some(status) => query.and_where(Expr::col("status").eq(status.as_str())),
        None => query.and_where(Expr::col("status").ne(UserStatus::Deleted.as_str())),
    };
    if let Some((created_at, id)) = filter.after {
        query.cond_where(
            Cond::any().add(Expr::col("created_at").lt(created_at.as_micros())).add(
                Cond::all()
                    .add(Expr::col("created_at").eq(created_at.as_micros()))
                    .add(Expr::col("id").lt(id.uuid())),
            ),
        );
    }
    query
        .order_by("created_at", Order::Desc)
        .order_by("id", Order::Desc)
        .limit(filter.limit);
    db.all(query).await
}

fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

fn active_admins() -> SelectStatement {
    Query::select()
        .column("id")
        .from("users")
        .and_where(Expr::col("instance_admin").eq(true))
        .and_where(Expr::col("status").eq(UserStatus::Active.as_str()))
        .take()
}

pub(crate) async fn has_admin(db: &Db) -> Result<bool, DbError> {
    struct Any;
    impl FromRow for Any {
        fn from_row(_: &Row<'_>) -> Result<Self, DbError> {
            Ok(Self)
        }
    }
    Ok(db.opt::<Any>(active_admins().limit(1).take()).await?.is_some())
}

/// At this point of the transaction another active administrator than `id` exists.
pub(crate) fn require_other_admin(unit: &mut Unit, id: UserId, guard: Guard) {
    unit.require(active_admins().and_where(Expr::col("id").ne(id.uuid())).take(), guard);
}

/// At this point of the transaction the account is still active and has the password that was checked.
pub(crate) fn require_unchanged_credentials(unit: &mut Unit, user: &User, guard: Guard) {
    unit.require(
        Query::select()
            .column("id")
            .from("users")
            .and_where(Expr::col("id").eq(user.id.uuid()))
            .and_where(Expr::col("status").eq(UserStatus::Active.as_str()))
            .and_where(Expr::col("password_changed_at").eq(user.password_changed_at.as_micros()))
            .take(),
        guard,
    );
}

/// At this point of the transaction the account still has this address, and has proven it.
pub(crate) fn require_proven_address(unit: &mut Unit, id: UserId, email: &str, guard: Guard) {
    unit.require(
        Query::select()
            .column("id")
            .from("users")
            .and_where(Expr::col("id").eq(id.uuid()))
            .and_where(Expr::col("email").eq(email))
            .and_where(Expr::col("email_verified").eq(true))
            .take(),
        guard,
    );
}

pub(crate) fn insert(unit: &mut Unit, user: &User) {
    let mut columns = COLUMNS.to_vec();
    columns.push("search_folded");
    let statement = Query::insert()
        .into_table("users")
        .columns(columns)
        .values_panic([
            user.id.uuid().into(),
            user.email.clone().into(),
            user.email_verified.into(),
            user.pending_email.clone().into(),
            user.name.clone().into(),
            user.time_zone.clone().into(),
            user.locale.clone().into(),
            user.password_hash.clone().into(),
            user.password_changed_at.as_micros().into(),
            user.status.as_str().into(),
            user.instance_admin.into(),
            user.created_at.as_micros().into(),
            user.updated_at.as_micros().into(),
            user.version.into(),
            user.search_folded().into(),
        ])
        .take();
    unit.insert(statement);
}

/// A change of nobody. What an address that is known costs the database must not differ from what a new account costs: where each
/// statement is a round trip, the time would tell.
pub(crate) fn touch_nobody(unit: &mut Unit) {
    let statement = Query::update()
        .table("users")
        .value("version", Expr::col("version"))
        .and_where(Expr::col("id").eq(Uuid::nil()))
        .take();
    unit.update(statement);
}

/// Writes `user` over the row that still has version `expected`.
pub(crate) fn update(unit: &mut Unit, user: &User, expected: i64, guard: Guard) {
    let statement = Query::update()
        .table("users")
        .values([
            ("email", user.email.clone().into()),
            ("email_verified", user.email_verified.into()),
            ("pending_email", user.pending_email.clone().into()),
            ("name", user.name.clone().into()),
            ("time_zone", user.time_zone.clone().into()),
            ("locale", user.locale.clone().into()),
            ("search_folded", user.search_folded().into()),
            ("password_hash", user.password_hash.clone().into()),
            ("password_changed_at", user.password_changed_at.as_micros().into()),
            ("status", user.status.as_str().into()),
            ("instance_admin", user.instance_admin.into()),
            ("updated_at", user.updated_at.as_micros().into()),
            ("version", user.version.into()),
        ])
        .and_where(Expr::col("id").eq(user.id.uuid()))
        .and_where(Expr::col("version").eq(expected))
        .take();
    unit.update_guarded(statement, guard);
}

/// A better hash of the same password, unless the password has changed meanwhile. Keeps the version: nothing people see changes.
pub(crate) fn replace_hash(unit: &mut Unit, user: &User, hash: &str) {
    let statement = Query::update()
        .table("users")
        .value("password_hash", hash)
        .and_where(Expr::col("id").eq(user.id.uuid()))
        .and_where(Expr::col("password_changed_at").eq(user.password_changed_at.as_micros()))
        .take();
    unit.update(statement);
}

#[cfg(test)]
mod tests {
    #[test]
    fn wildcards_in_a_search_are_letters() {
        assert_eq!(super::like_pattern("50%_a!"), "%50!%!_a!!%");
    }
}
