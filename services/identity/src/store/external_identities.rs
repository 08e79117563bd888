//! Accounts at sign-in providers, and flows that were finished.

use kernel::Timestamp;
use kernel::ids::{EntityId, ExternalIdentityId, UserId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use crate::model::external_identity::{ExternalIdentity, MAX_EXTERNAL_IDENTITIES};
use crate::model::token::Hash;

const COLUMNS: [&str; 7] = ["id", "user_id", "issuer", "subject", "email", "created_at", "last_used_at"];

impl FromRow for ExternalIdentity {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id(0)?,
            user_id: row.id(1)?,
            issuer: row.get(2)?,
            subject: row.get(3)?,
            email: row.get(4)?,
            created_at: row.get(5)?,
            last_used_at: row.get(6)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from("external_identities").take()
}

pub(crate) async fn find(db: &Db, issuer: &str, subject: &str) -> Result<Option<ExternalIdentity>, DbError> {
    db.opt(
        select()
            .and_where(Expr::col("issuer").eq(issuer))
            .and_where(Expr::col("subject").eq(subject))
            .take(),
    )
    .await
}

/// All of a person's, oldest first.
pub(crate) async fn list(db: &Db, user_id: UserId) -> Result<Vec<ExternalIdentity>, DbError> {
    db.all(
        select()
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .order_by("id", Order::Asc)
            .limit(MAX_EXTERNAL_IDENTITIES as u64)
            .take(),
    )
    .await
}

pub(crate) fn insert(unit: &mut Unit, identity: &ExternalIdentity) {
    unit.insert(
        Query::insert()
            .into_table("external_identities")
            .columns(COLUMNS)
            .values_panic([
                identity.id.uuid().into(),
                identity.user_id.uuid().into(),
                identity.issuer.clone().into(),
                identity.subject.clone().into(),
                identity.email.clone().into(),
                identity.created_at.as_micros().into(),
                identity.last_used_at.map(Timestamp::as_micros).into(),
            ])
            .take(),
    );
}

/// Notes a sign-in; `guard` when it was unlinked meanwhile.
pub(crate) fn note_use(unit: &mut Unit, identity: &ExternalIdentity, now: Timestamp, guard: Guard) {
    let statement = Query::update()
        .table("external_identities")
        .value("last_used_at", now.as_micros())
        .and_where(Expr::col("id").eq(identity.id.uuid()))
        .and_where(Expr::col("user_id").eq(identity.user_id.uuid()))
        .take();
    unit.update_guarded(statement, guard);
}

/// At this point of the transaction the person has another one at one of these issuers.
pub(crate) fn require_other(unit: &mut Unit, identity: &ExternalIdentity, issuers: Vec<String>, guard: Guard) {
    unit.require(
        Query::select()
            .column("id")
            .from("external_identities")
            .and_where(Expr::col("user_id").eq(identity.user_id.uuid()))
            .and_where(Expr::col("id").ne(identity.id.uuid()))
            .and_where(Expr::col("issuer").is_in(issuers))
            .take(),
        guard,
    );
}

pub(crate) fn delete(unit: &mut Unit, user_id: UserId, id: ExternalIdentityId, guard: Guard) {
    unit.delete_guarded(
        Query::delete()
            .from_table("external_identities")
            .and_where(Expr::col("id").eq(id.uuid()))
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
        guard,
    );
}

pub(crate) fn delete_of_user(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table("external_identities")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
    );
}

/// A flow is finished once: a second row of the same hash is refused by the key.
pub(crate) fn finish_flow(unit: &mut Unit, hash: &Hash, expires_at: Timestamp) {
    unit.insert(
        Query::insert()
            .into_table("finished_flows")
            .columns(["flow_hash", "expires_at"])
            .values_panic([hash.to_vec().into(), expires_at.as_micros().into()])
            .take(),
    );
}

pub(crate) fn delete_expired_flows(unit: &mut Unit, now: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table("finished_flows")
            .and_where(Expr::col("expires_at").lte(now.as_micros()))
            .take(),
    );
}
