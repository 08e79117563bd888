//! Sessions and the hashes of their refresh tokens.

use kernel::Timestamp;
use kernel::ids::{EntityId, SessionId, UserId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};

use crate::model::session::Session;
use crate::model::token::Hash;
use crate::model::user::UserStatus;

const COLUMNS: [&str; 11] = [
    "id",
    "user_id",
    "created_at",
    "last_used_at",
    "expires_at",
    "idle_expires_at",
    "ended_at",
    "generation",
    "rotated_at",
    "ip",
    "user_agent",
];

impl FromRow for Session {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            user_id: row.id(1)?,
            created_at: row.get(2)?,
            last_used_at: row.get(3)?,
            expires_at: row.get(4)?,
            idle_expires_at: row.get(5)?,
            ended_at: row.get(6)?,
            generation: row.get(7)?,
            rotated_at: row.get(8)?,
            ip: row.get(9)?,
            user_agent: row.get(10)?,
        })
    }
}

/// A refresh token with its session.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    pub(crate) session: Session,
    /// Which of the session's tokens it is.
    pub(crate) generation: i64,
}

impl FromRow for Presented {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            session: Session::from_row(row)?,
            generation: row.get(COLUMNS.len())?,
        })
    }
}

/// A session with what counts of its user.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) session: Session,
    pub(crate) status: UserStatus,
    pub(crate) instance_admin: bool,
}

impl FromRow for Standing {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            session: Session::from_row(row)?,
            status: row.parse(COLUMNS.len())?,
            instance_admin: row.get(COLUMNS.len() + 1)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns(COLUMNS.map(|column| ("sessions", column)))
        .from("sessions")
        .take()
}

pub(crate) async fn find_by_token(db: &Db, hash: &Hash) -> Result<Option<Presented>, DbError> {
    db.opt(
        select()
            .column(("refresh_tokens", "generation"))
            .inner_join(
                "refresh_tokens",
                Expr::col(("refresh_tokens", "session_id")).equals(("sessions", "id")),
            )
            .and_where(Expr::col(("refresh_tokens", "token_hash")).eq(hash.to_vec()))
            .take(),
    )
    .await
}

pub(crate) async fn find_standing(db: &Db, id: SessionId) -> Result<Option<Standing>, DbError> {
    db.opt(
        select()
            .column(("users", "status"))
            .column(("users", "instance_admin"))
            .inner_join("users", Expr::col(("users", "id")).equals(("sessions", "user_id")))
            .and_where(Expr::col(("sessions", "id")).eq(id.uuid()))
            .take(),
    )
    .await
}

pub(crate) async fn find(db: &Db, user_id: UserId, id: SessionId) -> Result<Option<Session>, DbError> {
    db.opt(
        select()
            .and_where(Expr::col("id").eq(id.uuid()))
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
    )
    .await
}

fn live(user_id: UserId, now: Timestamp) -> SelectStatement {
    select()
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .and_where(Expr::col("ended_at").is_null())
        .and_where(Expr::col("expires_at").gt(now.as_micros()))
        .and_where(Expr::col("idle_expires_at").gt(now.as_micros()))
        .take()
}

/// Live sessions, newest first.
pub(crate) async fn list(
    db: &Db,
    user_id: UserId,
    now: Timestamp,
    limit: u64,
    after: Option<(Timestamp, SessionId)>,
) -> Result<Vec<Session>, DbError> {
    let mut query = live(user_id, now);
    if let Some((created_at, id)) = after {
        query.cond_where(
            Cond::any().add(Expr::col("created_at").lt(created_at.as_micros())).add(
                Cond::all()
                    .add(Expr::col("created_at").eq(created_at.as_micros()))
                    .add(Expr::col("id").lt(id.uuid())),
            ),
        );
    }
    query.order_by("created_at", Order::Desc).order_by("id", Order::Desc).limit(limit);
    db.all(query).await
}

/// Whether the person used a session from this address within living memory.
pub(crate) async fn knows_address(db: &Db, user_id: UserId, ip: &str, since: Timestamp) -> Result<bool, DbError> {
    let found = db
        .opt::<Session>(
            select()
                .and_where(Expr::col("user_id").eq(user_id.uuid()))
                .and_where(Expr::col("ip").eq(ip))
                .and_where(Expr::col("last_used_at").gt(since.as_micros()))
                .limit(1)
                .take(),
        )
        .await?;
    Ok(found.is_some())
}

pub(crate) fn insert(unit: &mut Unit, session: &Session, first_token: &Hash) {
    unit.insert(
        Query::insert()
            .into_table("sessions")
            .columns(COLUMNS.into_iter().chain(["version"]))
            .values_panic([
                session.id.uuid().into(),
                session.user_id.uuid().into(),
                session.created_at.as_micros().into(),
                session.last_used_at.as_micros().into(),
                session.expires_at.as_micros().into(),
                session.idle_expires_at.as_micros().into(),
                session.ended_at.map(Timestamp::as_micros).into(),
                session.generation.into(),
                session.rotated_at.as_micros().into(),
                session.ip.clone().into(),
                session.user_agent.clone().into(),
                1i64.into(),
            ])
            .take(),
    );
    insert_token(unit, session.id, session.generation, first_token, session.created_at);
}

fn insert_token(unit: &mut Unit, session_id: SessionId, generation: i64, hash: &Hash, now: Timestamp) {
    unit.insert(
        Query::insert()
            .into_table("refresh_tokens")
            .columns(["token_hash", "session_id", "generation", "created_at"])
            .values_panic([
                hash.to_vec().into(),
                session_id.uuid().into(),
                generation.into(),
                now.as_micros().into(),
            ])
            .take(),
    );
}

/// Moves the session from generation `expected` to `session.generation`; `guard` when another call was faster
/// or the session has ended.
pub(crate) fn rotate(unit: &mut Unit, session: &Session, expected: i64, successor: &Hash, guard: Guard) {
    let statement = Query::update()
        .table("sessions")
        .values([
            ("generation", session.generation.into()),
            ("rotated_at", session.rotated_at.as_micros().into()),
            ("last_used_at", session.last_used_at.as_micros().into()),
            ("idle_expires_at", session.idle_expires_at.as_micros().into()),
            ("ip", session.ip.clone().into()),
            ("user_agent", session.user_agent.clone().into()),
            ("version", Expr::col("version").add(1)),
        ])
        .and_where(Expr::col("id").eq(session.id.uuid()))
        .and_where(Expr::col("generation").eq(expected))
        .and_where(Expr::col("ended_at").is_null())
        .take();
    unit.update_guarded(statement, guard);
    insert_token(unit, session.id, session.generation, successor, session.rotated_at);
}

/// Which sessions of a person to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    One(SessionId),
    AllBut(SessionId),
    All,
}

pub(crate) fn end(unit: &mut Unit, user_id: UserId, which: Which, reason: &'static str, now: Timestamp) {
    let mut statement = Query::update()
        .table("sessions")
        .values([
            ("ended_at", now.as_micros().into()),
            ("end_reason", reason.into()),
            ("version", Expr::col("version").add(1)),
        ])
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .and_where(Expr::col("ended_at").is_null())
        .take();
    match which {
        Which::One(id) => statement.and_where(Expr::col("id").eq(id.uuid())),
        Which::AllBut(id) => statement.and_where(Expr::col("id").ne(id.uuid())),
        Which::All => &mut statement,
    };
    unit.update(statement);
}

/// Blanks what a session says of a person who is gone.
pub(crate) fn erase_traces(unit: &mut Unit, user_id: UserId) {
    let statement = Query::update()
        .table("sessions")
        .values([("ip", "".into()), ("user_agent", "".into())])
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .take();
    unit.update(statement);
}

/// Sessions that were over before `before`.
pub(crate) async fn list_over(db: &Db, before: Timestamp, limit: u64) -> Result<Vec<Session>, DbError> {
    let moment = before.as_micros();
    db.all(
        select()
            .cond_where(
                Cond::any()
                    .add(Expr::col("ended_at").lt(moment))
                    .add(Expr::col("expires_at").lt(moment))
                    .add(Expr::col("idle_expires_at").lt(moment)),
            )
            .limit(limit)
            .take(),
    )
    .await
}

pub(crate) fn delete(unit: &mut Unit, ids: &[SessionId]) {
    let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
    unit.delete(
        Query::delete()
            .from_table("refresh_tokens")
            .and_where(Expr::col("session_id").is_in(ids.clone()))
            .take(),
    );
    unit.delete(Query::delete().from_table("sessions").and_where(Expr::col("id").is_in(ids)).take());
}
