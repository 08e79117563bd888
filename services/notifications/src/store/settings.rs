//! How people get their mails, and when their digests are due.

use std::collections::HashMap;

use kernel::Timestamp;
use kernel::ids::{EntityId, UserId};
use platform::db::{Db, DbError, FromRow, Guard, Row, Slot, Unit};
use sea_query::{Cond, Expr, ExprTrait, Iden, OnConflict, Query, SelectStatement};

use super::in_ids;
use crate::model::{DEFAULT_HOUR, EmailMode};

#[derive(Iden, Clone, Copy)]
enum NotificationSettings {
    Table,
    UserId,
    EmailMode,
    DigestHour,
    NextDigestAt,
    LastDigestAt,
    UpdatedAt,
}

use NotificationSettings as S;

#[derive(Debug, Clone)]
pub(crate) struct SettingsRow {
    pub user_id: UserId,
    pub email_mode: EmailMode,
    /// 0 to 23, in the person's zone.
    pub digest_hour: u8,
    /// Set while news waits for a digest.
    pub next_digest_at: Option<Timestamp>,
    pub last_digest_at: Option<Timestamp>,
}

impl FromRow for SettingsRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let hour: i32 = row.get(2)?;
        Ok(Self {
            user_id: row.id(0)?,
            email_mode: row.parse(1)?,
            digest_hour: u8::try_from(hour).map_err(|error| DbError::Decode {
                column: 2,
                reason: error.to_string(),
            })?,
            next_digest_at: row.get(3)?,
            last_digest_at: row.get(4)?,
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns([S::UserId, S::EmailMode, S::DigestHour, S::NextDigestAt, S::LastDigestAt])
        .from(S::Table)
        .to_owned()
}

fn of_person(user_id: UserId) -> SelectStatement {
    select().and_where(Expr::col(S::UserId).eq(user_id.uuid())).to_owned()
}

pub(crate) async fn find(db: &Db, user_id: UserId) -> Result<Option<SettingsRow>, DbError> {
    db.opt(of_person(user_id)).await
}

/// The same inside the transaction, for the reply of a change.
pub(crate) fn read(unit: &mut Unit, user_id: UserId) -> Slot<SettingsRow> {
    unit.read(of_person(user_id))
}

/// People without settings are absent.
pub(crate) async fn of_all(db: &Db, users: &[UserId]) -> Result<HashMap<UserId, SettingsRow>, DbError> {
    let mut all = HashMap::new();
    for chunk in users.chunks(256) {
        let rows: Vec<SettingsRow> = db
            .all(select().and_where(in_ids(S::UserId, chunk.iter().copied())).to_owned())
            .await?;
        all.extend(rows.into_iter().map(|row| (row.user_id, row)));
    }
    Ok(all)
}

/// Stores both, but on an existing row changes only what is named, so that two changes at once do not undo each other.
pub(crate) fn put(unit: &mut Unit, user_id: UserId, (mode, mode_named): (EmailMode, bool), (hour, hour_named): (u8, bool), now: Timestamp) {
    let mut update = vec![S::UpdatedAt];
    if mode_named {
        update.push(S::EmailMode);
    }
    if hour_named {
        update.push(S::DigestHour);
    }
    unit.insert(
        Query::insert()
            .into_table(S::Table)
            .columns([S::UserId, S::EmailMode, S::DigestHour, S::UpdatedAt])
            .values_panic([
                user_id.uuid().into(),
                mode.as_str().into(),
                i32::from(hour).into(),
                now.as_micros().into(),
            ])
            .on_conflict(OnConflict::column(S::UserId).update_columns(update).to_owned())
            .to_owned(),
    );
}

/// Makes the person's row, or holds it until the commit: what they chose is then changed by one request after the other, and what
/// is read from here on is what the commit changes.
pub(crate) fn take_turn(unit: &mut Unit, user_id: UserId, now: Timestamp) {
    put(unit, user_id, (EmailMode::default(), false), (DEFAULT_HOUR, false), now);
}

/// When the scheduled digest is due; `None`: nothing waits for one.
pub(crate) fn set_next_digest(unit: &mut Unit, user_id: UserId, at: Option<Timestamp>) {
    unit.update(
        Query::update()
            .table(S::Table)
            .value(S::NextDigestAt, at.map(Timestamp::as_micros))
            .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
            .to_owned(),
    );
}

/// Takes the digest that was due at `at`; fails with `guard` when somebody else took it.
pub(crate) fn take_digest(unit: &mut Unit, user_id: UserId, at: Timestamp, guard: Guard) {
    unit.update_guarded(
        Query::update()
            .table(S::Table)
            .value(S::LastDigestAt, at.as_micros())
            .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
            .cond_where(
                Cond::any()
                    .add(Expr::col(S::LastDigestAt).is_null())
                    .add(Expr::col(S::LastDigestAt).lt(at.as_micros())),
            )
            .to_owned(),
        guard,
    );
}

pub(crate) fn erase_user(unit: &mut Unit, user_id: UserId) {
    unit.delete(
        Query::delete()
            .from_table(S::Table)
            .and_where(Expr::col(S::UserId).eq(user_id.uuid()))
            .to_owned(),
    );
}
