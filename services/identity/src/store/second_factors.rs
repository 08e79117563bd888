//! Second factors, recovery codes and sign-ins that wait for them. Seeds are sealed, codes and tokens hashed.

use kernel::Timestamp;
use kernel::ids::{EntityId, UserId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Query};

use super::keys::bytes32;
use crate::model::second_factor::SecondFactor;
use crate::model::token::Hash;

const COLUMNS: [&str; 6] = ["user_id", "sealed_seed", "last_step", "created_at", "confirmed_at", "version"];

impl FromRow for SecondFactor {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            user_id: row.id(0)?,
            sealed_seed: row.get(1)?,
            last_step: row.get(2)?,
            created_at: row.get(3)?,
            confirmed_at: row.get(4)?,
            version: row.get(5)?,
        })
    }
}

pub(crate) async fn find(db: &Db, user_id: UserId) -> Result<Option<SecondFactor>, DbError> {
    let query = Query::select()
        .columns(COLUMNS)
        .from("second_factors")
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .take();
    db.opt(query).await
}

/// In the place of one that was never confirmed.
pub(crate) fn replace_unconfirmed(unit: &mut Unit, factor: &SecondFactor) {
    unit.delete(
        Query::delete()
            .from_table("second_factors")
            .and_where(Expr::col("user_id").eq(factor.user_id.uuid()))
            .and_where(Expr::col("confirmed_at").is_null())
            .take(),
    );
    unit.insert(
        Query::insert()
            .into_table("second_factors")
            .columns(COLUMNS)
            .values_panic([
                factor.user_id.uuid().into(),
                factor.sealed_seed.clone().into(),
                factor.last_step.into(),
                factor.created_at.as_micros().into(),
                factor.confirmed_at.map(Timestamp::as_micros).into(),
                factor.version.into(),
            ])
            .take(),
    );
}

/// From now on it is asked for; `guard` when it was replaced or confirmed meanwhile.
pub(crate) fn confirm(unit: &mut Unit, factor: &SecondFactor, step: i64, now: Timestamp, guard: Guard) {
    let statement = Query::update()
        .table("second_factors")
        .values([
            ("confirmed_at", now.as_micros().into()),
            ("last_step", step.into()),
            ("version", (factor.version + 1).into()),
        ])
        .and_where(Expr::col("user_id").eq(factor.user_id.uuid()))
        .and_where(Expr::col("sealed_seed").eq(factor.sealed_seed.clone()))
        .and_where(Expr::col("confirmed_at").is_null())
        .take();
    unit.update_guarded(statement, guard);
}

/// Uses up the codes of `step` and of all before it; `guard` when they are used up.
pub(crate) fn use_step(unit: &mut Unit, user_id: UserId, step: i64, guard: Guard) {
    let statement = Query::update()
        .table("second_factors")
        .values([("last_step", step.into()), ("version", Expr::col("version").add(1))])
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .and_where(Expr::col("confirmed_at").is_not_null())
        .and_where(Expr::col("last_step").lt(step))
        .take();
    unit.update_guarded(statement, guard);
}

/// At this point of the transaction the person has no second factor.
pub(crate) fn require_none(unit: &mut Unit, user_id: UserId, guard: Guard) {
    let confirmed = Query::select()
        .column("user_id")
        .from("second_factors")
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .and_where(Expr::col("confirmed_at").is_not_null())
        .take();
    unit.require(
        Query::select()
            .column("id")
            .from("users")
            .and_where(Expr::col("id").eq(user_id.uuid()))
            .and_where(Expr::exists(confirmed).not())
            .take(),
        guard,
    );
}

pub(crate) fn delete_of_user(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table("second_factors")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
    );
    delete_recovery_codes(unit, user_id);
    unit.delete(
        Query::delete()
            .from_table("sign_in_challenges")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
    );
}

fn delete_recovery_codes(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table("recovery_codes")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
    );
}

/// These and no others.
pub(crate) fn replace_recovery_codes(unit: &mut Unit, user_id: UserId, hashes: &[Hash], now: Timestamp) {
    delete_recovery_codes(unit, user_id);
    for hash in hashes {
        unit.insert(
            Query::insert()
                .into_table("recovery_codes")
                .columns(["code_hash", "user_id", "created_at"])
                .values_panic([hash.to_vec().into(), user_id.uuid().into(), now.as_micros().into()])
                .take(),
        );
    }
}

/// Good once; `guard` when there is no such code.
pub(crate) fn use_recovery_code(unit: &mut Unit, user_id: UserId, hash: &Hash, guard: Guard) {
    unit.delete_guarded(
        Query::delete()
            .from_table("recovery_codes")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .and_where(Expr::col("code_hash").eq(hash.to_vec()))
            .take(),
        guard,
    );
}

pub(crate) async fn count_recovery_codes(db: &Db, user_id: UserId) -> Result<i64, DbError> {
    struct Count(i64);
    impl FromRow for Count {
        fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
            row.get(0).map(Self)
        }
    }
    let query = Query::select()
        .expr(Expr::col("code_hash").count())
        .from("recovery_codes")
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .take();
    Ok(db.one::<Count>(query).await?.0)
}

/// A sign-in whose password was right and whose second factor is awaited.
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    pub(crate) token_hash: Hash,
    pub(crate) user_id: UserId,
    pub(crate) failures: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

const CHALLENGE: [&str; 5] = ["token_hash", "user_id", "failures", "created_at", "expires_at"];

impl FromRow for Challenge {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            token_hash: bytes32(row, 0)?,
            user_id: row.id(1)?,
            failures: row.get(2)?,
            created_at: row.get(3)?,
            expires_at: row.get(4)?,
        })
    }
}

pub(crate) async fn find_challenge(db: &Db, hash: &Hash) -> Result<Option<Challenge>, DbError> {
    let query = Query::select()
        .columns(CHALLENGE)
        .from("sign_in_challenges")
        .and_where(Expr::col("token_hash").eq(hash.to_vec()))
        .take();
    db.opt(query).await
}

pub(crate) fn insert_challenge(unit: &mut Unit, challenge: &Challenge) {
    unit.insert(
        Query::insert()
            .into_table("sign_in_challenges")
            .columns(CHALLENGE)
            .values_panic([
                challenge.token_hash.to_vec().into(),
                challenge.user_id.uuid().into(),
                challenge.failures.into(),
                challenge.created_at.as_micros().into(),
                challenge.expires_at.as_micros().into(),
            ])
            .take(),
    );
}

/// Counted before the code is looked at, so that parallel guesses are all counted; `guard` when `most` were made.
pub(crate) fn count_guess(unit: &mut Unit, hash: &Hash, most: i64, guard: Guard) {
    let statement = Query::update()
        .table("sign_in_challenges")
        .value("failures", Expr::col("failures").add(1))
        .and_where(Expr::col("token_hash").eq(hash.to_vec()))
        .and_where(Expr::col("failures").lt(most))
        .take();
    unit.update_guarded(statement, guard);
}

/// Good once; `guard` when it was used meanwhile.
pub(crate) fn consume_challenge(unit: &mut Unit, hash: &Hash, guard: Guard) {
    unit.delete_guarded(
        Query::delete()
            .from_table("sign_in_challenges")
            .and_where(Expr::col("token_hash").eq(hash.to_vec()))
            .take(),
        guard,
    );
}

/// A changed password, or an account that was locked, ends what waits for a code.
pub(crate) fn delete_challenges(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table("sign_in_challenges")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
    );
}

pub(crate) fn delete_expired_challenges(unit: &mut Unit, now: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table("sign_in_challenges")
            .and_where(Expr::col("expires_at").lte(now.as_micros()))
            .take(),
    );
}
