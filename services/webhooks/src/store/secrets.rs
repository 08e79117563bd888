//! Secrets that were replaced and sign on for a while.

use kernel::Timestamp;
use kernel::ids::{EntityId, WebhookId};
use platform::db::{Db, DbError, FromRow, Row, Unit};
use sea_query::{Expr, ExprTrait, Order, Query};

use super::WebhookOldSecrets as S;
use crate::model::{MAX_OLD_SECRETS, OldSecret};

const COLUMNS: [S; 4] = [S::WebhookId, S::Version, S::Secret, S::ExpiresAt];

impl FromRow for OldSecret {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            webhook_id: row.id(0)?,
            version: row.get(1)?,
            secret: row.get(2)?,
            expires_at: row.get(3)?,
        })
    }
}

/// Those that sign now, the newest first.
pub(crate) async fn list_live(db: &Db, webhook_id: WebhookId, now: Timestamp) -> Result<Vec<OldSecret>, DbError> {
    let select = Query::select()
        .columns(COLUMNS)
        .from(S::Table)
        .and_where(Expr::col(S::WebhookId).eq(webhook_id.uuid()))
        .and_where(Expr::col(S::ExpiresAt).gt(now.as_micros()))
        .order_by(S::Version, Order::Desc)
        .limit(MAX_OLD_SECRETS as u64)
        .take();
    db.all(select).await
}

pub(crate) fn insert(unit: &mut Unit, secret: &OldSecret) {
    unit.insert(
        Query::insert()
            .into_table(S::Table)
            .columns(COLUMNS)
            .values_panic([
                secret.webhook_id.uuid().into(),
                secret.version.into(),
                secret.secret.as_str().into(),
                secret.expires_at.as_micros().into(),
            ])
            .take(),
    );
}

/// Of one webhook: those that had ended by `until`.
pub(crate) fn delete_ended(unit: &mut Unit, webhook_id: WebhookId, until: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table(S::Table)
            .and_where(Expr::col(S::WebhookId).eq(webhook_id.uuid()))
            .and_where(Expr::col(S::ExpiresAt).lte(until.as_micros()))
            .take(),
    );
}

/// Of one webhook, whether they still sign or not.
pub(crate) fn delete_all(unit: &mut Unit, webhook_id: WebhookId) {
    unit.delete(
        Query::delete()
            .from_table(S::Table)
            .and_where(Expr::col(S::WebhookId).eq(webhook_id.uuid()))
            .take(),
    );
}

/// Of all webhooks: those that had ended by `until`. A webhook has a handful at most.
pub(crate) fn sweep(unit: &mut Unit, until: Timestamp) {
    unit.delete(
        Query::delete()
            .from_table(S::Table)
            .and_where(Expr::col(S::ExpiresAt).lte(until.as_micros()))
            .take(),
    );
}
