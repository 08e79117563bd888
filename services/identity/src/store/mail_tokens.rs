//! One-time tokens that travel in mails; only their hashes lie here.

use kernel::Timestamp;
use kernel::ids::{EntityId, UserId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query};

use crate::model::token::Hash;

/// What a mailed link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    VerifyEmail,
    ChangeEmail,
    ResetPassword,
}

impl Purpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ChangeEmail => "change_email",
            Self::ResetPassword => "reset_password",
        }
    }

    /// Tells people and secret scanners what a token is.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::VerifyEmail => "ghv_",
            Self::ChangeEmail => "ghe_",
            Self::ResetPassword => "ghp_",
        }
    }
}

impl std::str::FromStr for Purpose {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::VerifyEmail, Self::ChangeEmail, Self::ResetPassword]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
            .ok_or_else(|| format!("unknown purpose {text:?}"))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct MailToken {
    pub(crate) hash: Hash,
    pub(crate) user_id: UserId,
    pub(crate) purpose: Purpose,
    /// The address it was mailed to; it proves this one and no other.
    pub(crate) email: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl FromRow for MailToken {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let hash: Vec<u8> = row.get(0)?;
        Ok(Self {
            hash: hash.try_into().map_err(|_| DbError::Decode {
                column: 0,
                reason: "not 32 bytes".to_owned(),
            })?,
            user_id: row.id(1)?,
            purpose: row.parse(2)?,
            email: row.get(3)?,
            created_at: row.get(4)?,
            expires_at: row.get(5)?,
        })
    }
}

const COLUMNS: [&str; 6] = ["token_hash", "user_id", "purpose", "email", "created_at", "expires_at"];

pub(crate) async fn find(db: &Db, hash: &Hash) -> Result<Option<MailToken>, DbError> {
    let query = Query::select()
        .columns(COLUMNS)
        .from("mail_tokens")
        .and_where(Expr::col("token_hash").eq(hash.to_vec()))
        .take();
    db.opt(query).await
}

/// The newest token of its kind.
pub(crate) async fn find_latest(db: &Db, user_id: UserId, purpose: Purpose) -> Result<Option<MailToken>, DbError> {
    let query = Query::select()
        .columns(COLUMNS)
        .from("mail_tokens")
        .and_where(Expr::col("user_id").eq(user_id.uuid()))
        .and_where(Expr::col("purpose").eq(purpose.as_str()))
        .order_by("created_at", Order::Desc)
        .limit(1)
        .take();
    db.opt(query).await
}

/// Only the newest link of a kind works.
pub(crate) fn replace(unit: &mut Unit, token: &MailToken) {
    delete_purpose(unit, token.user_id, token.purpose);
    unit.insert(
        Query::insert()
            .into_table("mail_tokens")
            .columns(COLUMNS)
            .values_panic([
                token.hash.to_vec().into(),
                token.user_id.uuid().into(),
                token.purpose.as_str().into(),
                token.email.clone().into(),
                token.created_at.as_micros().into(),
                token.expires_at.as_micros().into(),
            ])
            .take(),
    );
}

/// Uses the token up; `guard` when somebody else was faster.
pub(crate) fn consume(unit: &mut Unit, hash: &Hash, guard: Guard) {
    unit.delete_guarded(
        Query::delete()
            .from_table("mail_tokens")
            .and_where(Expr::col("token_hash").eq(hash.to_vec()))
            .take(),
        guard,
    );
}

pub(crate) fn delete_purpose(unit: &mut Unit, user_id: UserId, purpose: Purpose) {
    unit.delete(
        Query::delete()
            .from_table("mail_tokens")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .and_where(Expr::col("purpose").eq(purpose.as_str()))
            .take(),
    );
}

pub(crate) fn delete_of_user(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table("mail_tokens")
            .and_where(Expr::col("user_id").eq(user_id.uuid()))
            .take(),
    );
}

pub(crate) fn delete_expired(unit: &mut Unit, now: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table("mail_tokens")
            .and_where(Expr::col("expires_at").lt(now.as_micros()))
            .take(),
    );
}
