//! What people chose.

use std::collections::{BTreeMap, HashMap};

use kernel::Timestamp;
use kernel::ids::{EntityId, UserId};
use platform::db::{Db, DbError, FromRow, Row, Slot, Unit};
use sea_query::{Expr, ExprTrait, Iden, OnConflict, Query, SelectStatement};

use super::in_ids;
use crate::model::{Channels, Kind, Preferences};

#[derive(Iden)]
enum NotificationPreferences {
    Table,
    UserId,
    Kind,
    InApp,
    Email,
    UpdatedAt,
}

pub(crate) struct ChoiceRow {
    user_id: UserId,
    kind: Kind,
    channels: Channels,
}

impl FromRow for ChoiceRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            user_id: row.id(0)?,
            kind: row.parse(1)?,
            channels: Channels {
                in_app: row.get(2)?,
                email: row.get(3)?,
            },
        })
    }
}

fn select() -> SelectStatement {
    use NotificationPreferences as P;
    Query::select()
        .columns([P::UserId, P::Kind, P::InApp, P::Email])
        .from(P::Table)
        .to_owned()
}

pub(crate) async fn preferences_of(db: &Db, user_id: UserId) -> Result<Preferences, DbError> {
    db.all(of_user(user_id)).await.map(collect)
}

/// The same inside the transaction, for the reply of a change.
pub(crate) fn read(unit: &mut Unit, user_id: UserId) -> Slot<ChoiceRow> {
    unit.read(of_user(user_id))
}

fn of_user(user_id: UserId) -> SelectStatement {
    // At most one row per kind.
    select()
        .and_where(Expr::col(NotificationPreferences::UserId).eq(user_id.uuid()))
        .to_owned()
}

pub(crate) fn collect(rows: Vec<ChoiceRow>) -> Preferences {
    Preferences(rows.into_iter().map(|row| (row.kind, row.channels)).collect())
}

/// What several people chose about `kinds`; people without a choice are absent.
pub(crate) async fn preferences_of_all(db: &Db, users: &[UserId], kinds: &[Kind]) -> Result<HashMap<UserId, Preferences>, DbError> {
    use NotificationPreferences as P;
    let mut all: HashMap<UserId, BTreeMap<Kind, Channels>> = HashMap::new();
    for chunk in users.chunks(256) {
        let rows: Vec<ChoiceRow> = db
            .all(
                select()
                    .and_where(in_ids(P::UserId, chunk.iter().copied()))
                    .and_where(Expr::col(P::Kind).is_in(kinds.iter().map(|kind| kind.as_str())))
                    .to_owned(),
            )
            .await?;
        for row in rows {
            all.entry(row.user_id).or_default().insert(row.kind, row.channels);
        }
    }
    Ok(all.into_iter().map(|(user, choices)| (user, Preferences(choices))).collect())
}

/// Whether anybody at all switched on a kind that is off by default; spares asking for all members.
pub(crate) async fn anybody_wants(db: &Db, kind: Kind) -> Result<bool, DbError> {
    use NotificationPreferences as P;
    let row: Option<ChoiceRow> = db
        .opt(
            select()
                .and_where(Expr::col(P::Kind).eq(kind.as_str()))
                .and_where(Expr::col(P::InApp).eq(true).or(Expr::col(P::Email).eq(true)))
                .limit(1)
                .to_owned(),
        )
        .await?;
    Ok(row.is_some())
}

/// Stores both channels, but on an existing row changes only those named, so that two changes at once do not undo each other.
pub(crate) fn put(unit: &mut Unit, user_id: UserId, kind: Kind, channels: Channels, in_app_named: bool, email_named: bool, now: Timestamp) {
    use NotificationPreferences as P;
    let mut update = vec![P::UpdatedAt];
    if in_app_named {
        update.push(P::InApp);
    }
    if email_named {
        update.push(P::Email);
    }
    unit.insert(
        Query::insert()
            .into_table(P::Table)
            .columns([P::UserId, P::Kind, P::InApp, P::Email, P::UpdatedAt])
            .values_panic([
                user_id.uuid().into(),
                kind.as_str().into(),
                channels.in_app.into(),
                channels.email.into(),
                now.as_micros().into(),
            ])
            .on_conflict(OnConflict::columns([P::UserId, P::Kind]).update_columns(update).to_owned())
            .to_owned(),
    );
}

/// Back to the default.
pub(crate) fn reset(unit: &mut Unit, user_id: UserId, kind: Kind) {
    use NotificationPreferences as P;
    unit.delete(
        Query::delete()
            .from_table(P::Table)
            .and_where(Expr::col(P::UserId).eq(user_id.uuid()))
            .and_where(Expr::col(P::Kind).eq(kind.as_str()))
            .to_owned(),
    );
}

pub(crate) fn erase_user(unit: &mut Unit, user_id: UserId) {
    use NotificationPreferences as P;
    unit.delete(
        Query::delete()
            .from_table(P::Table)
            .and_where(Expr::col(P::UserId).eq(user_id.uuid()))
            .to_owned(),
    );
}
