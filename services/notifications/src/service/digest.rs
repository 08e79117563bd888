//! The daily digest: what would have been mailed waits in its rows, and goes out once a day as one mail.
//!
//! A row that waits and the due work that ends its waiting are written in one unit, so nothing waits for ever, and who has no
//! news has no digest. The work says which moment it is for; taking that moment is a compare-and-set in the unit that
//! schedules the mail, so a second run, here or in another replica, sends nothing.

use std::collections::BTreeSet;

use contracts::identity::{GetUsers, UserSummary};
use kernel::ids::{NotificationId, UserId};
use kernel::{CallContext, Result, Timestamp};
use platform::Caller;
use platform::db::{DbError, Guard, Unit};
use platform::due::Due;
use platform::mail::{self, Mail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::deliver::link;
use crate::NotificationsService;
use crate::model::{self, Line, next_digest, sentence};
use crate::store;
use crate::store::inbox::AwaitingRow;
use crate::store::settings::SettingsRow;

/// [`Due::kind`] of a digest.
pub(crate) const KIND: &str = "notifications.digest";
/// Rows of one digest; what is beyond comes with the next.
const MAX_ROWS: usize = 1_000;
const ALREADY_SENT: Guard = Guard::conflict("notifications.digest.sent", "The digest was sent before.");

/// What the due work remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DigestDue {
    pub user_id: UserId,
    /// The moment for which it is.
    pub at: Timestamp,
}

/// News waits: the digest that is scheduled already, or the next. One that is late stays so and goes out at once.
pub(crate) fn schedule(unit: &mut Unit, settings: &SettingsRow, time_zone: &str, now: Timestamp) {
    match settings.next_digest_at {
        Some(at) => schedule_at(unit, settings.user_id, at),
        None => reschedule(unit, settings, time_zone, now),
    }
}

/// Hour or zone have changed, or the digest of the day is out and more waits.
pub(crate) fn reschedule(unit: &mut Unit, settings: &SettingsRow, time_zone: &str, now: Timestamp) {
    let at = next_digest(now, time_zone, settings.digest_hour, settings.last_digest_at);
    schedule_at(unit, settings.user_id, at);
}

fn schedule_at(unit: &mut Unit, user_id: UserId, at: Timestamp) {
    unit.schedule(Due {
        kind: KIND,
        key: Some(user_id.to_string()),
        payload: json!(DigestDue { user_id, at }),
        run_at: at,
    });
    store::settings::set_next_digest(unit, user_id, Some(at));
}

pub(crate) fn unschedule(unit: &mut Unit, user_id: UserId) {
    unit.unschedule(KIND, &user_id.to_string());
}

impl NotificationsService {
    /// Sends the digest that was due at `at`, unless that has been done.
    pub(crate) async fn send_digest(&self, caller: &Caller, user_id: UserId, at: Timestamp) -> Result<()> {
        let Some(settings) = store::settings::find(&self.db, user_id).await? else {
            return Ok(());
        };
        let rows = store::inbox::awaiting(&self.db, user_id, MAX_ROWS as u64).await?;
        let ctx = caller.call();
        let users = self.identity.get_users(&ctx, GetUsers { ids: vec![user_id] }).await?;
        let Some(user) = users.into_iter().next() else {
            return Ok(());
        };
        let mut unit = Unit::new(caller);
        if settings.last_digest_at.is_some_and(|last| last >= at) {
            // What came while it was sent waits for the next day.
            if rows.is_empty() {
                store::settings::set_next_digest(&mut unit, user_id, None);
            } else {
                reschedule(&mut unit, &settings, &user.time_zone, caller.now);
            }
            self.db.apply(unit).await?;
            return Ok(());
        }
        let lines = self.digest_lines(&ctx, &user, &rows).await?;
        let ids: Vec<NotificationId> = rows.iter().map(|waiting| waiting.row.id).collect();
        store::inbox::settle(&mut unit, user_id, &ids);
        store::settings::set_next_digest(&mut unit, user_id, None);
        if !lines.is_empty() {
            store::settings::take_digest(&mut unit, user_id, at, ALREADY_SENT);
            self.schedule_digest_mail(&mut unit, &user, &lines, at, caller.now);
        }
        if rows.len() == MAX_ROWS {
            let taken = SettingsRow {
                last_digest_at: Some(at),
                ..settings
            };
            reschedule(&mut unit, &taken, &user.time_zone, caller.now);
        }
        match self.db.apply(unit).await {
            Ok(_) | Err(DbError::Guard(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the person can still read and has not seen yet. Nothing for a disabled account.
    async fn digest_lines(&self, ctx: &CallContext, user: &UserSummary, rows: &[AwaitingRow]) -> Result<Vec<Line>> {
        if !user.active || !self.may_mail(user) {
            return Ok(Vec::new());
        }
        let projects: BTreeSet<_> = rows.iter().filter_map(|waiting| waiting.row.project_id).collect();
        let readable = self.readable_projects(ctx, user.id, projects).await?;
        let mut lines = Vec::new();
        for AwaitingRow { row, told } in rows {
            let seen = told.in_app.is_some() && row.read_at.is_some();
            let (false, Some(kind), Some(workspace_id)) = (seen, told.email, row.workspace_id) else {
                continue;
            };
            let place = match row.project_id {
                Some(project) => match readable.get(&project).filter(|access| access.workspace_id == workspace_id) {
                    Some(access) => format!("{} ({})", access.project_name, access.project_key),
                    None => continue,
                },
                None if self.is_member(ctx, user.id, workspace_id).await? => row.content.title.clone(),
                None => continue,
            };
            lines.push(Line {
                place,
                text: sentence(kind, &row.content),
                link: link(self.config.base_url(), workspace_id, row.task_id, row.content.comment_id),
                at: row.created_at,
            });
        }
        Ok(lines)
    }

    fn schedule_digest_mail(&self, unit: &mut Unit, user: &UserSummary, lines: &[Line], at: Timestamp, now: Timestamp) {
        let base = self.config.base_url();
        let (inbox, settings) = (format!("{base}/v1/notifications"), format!("{base}/v1/notifications/settings"));
        let text = model::digest(lines, now, &user.time_zone, &inbox, &settings);
        let mail = Mail {
            to: user.email.clone(),
            subject: text.subject,
            text: text.text,
            html: None,
            message_id: format!("digest.{}.{}", at.as_seconds(), user.id),
        };
        unit.schedule(mail::due(&mail, now));
    }
}
