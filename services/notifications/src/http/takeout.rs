//! What a person was told and chose, as files.

use async_trait::async_trait;
use kernel::{Error, Result};
use platform::Caller;
use platform::takeout::{Disclosure, Given, PART_ROWS, Part, Subject, Takeout};

use super::preferences::PreferencesView;
use crate::NotificationsService;
use crate::service::inbox::ListInbox;
use crate::service::subscriptions::ListSubscriptions;

/// What becomes of each table.
pub const DISCLOSED: &[Disclosure] = &[
    Disclosure::new("notifications", Given::In("notifications"), Given::Not(PERSONAL)),
    Disclosure::new("notification_preferences", Given::In("preferences"), Given::Not(PERSONAL)),
    Disclosure::new("notification_settings", Given::In("settings"), Given::Not(PERSONAL)),
    Disclosure::new("notification_subscriptions", Given::In("subscriptions"), Given::Not(PERSONAL)),
    Disclosure::new("task_participants", Given::Not(DERIVED), Given::Not(DERIVED)),
    Disclosure::new("event_log", Given::Not(DERIVED), Given::Not(DERIVED)),
    Disclosure::new("event_counters", Given::Not(DERIVED), Given::Not(DERIVED)),
];

const PERSONAL: &str = "what people are told and choose is their own";
const DERIVED: &str = "follows from comments and history, which are given by tasks";

#[async_trait]
impl Takeout for NotificationsService {
    fn files(&self, subject: Subject) -> &'static [&'static str] {
        match subject {
            Subject::Person => &["notifications", "preferences", "settings", "subscriptions"],
            Subject::Workspace(_) => &[],
        }
    }

    async fn part(&self, caller: &Caller, _: Subject, file: &str, cursor: Option<String>) -> Result<Part> {
        match file {
            "notifications" => {
                let request = ListInbox {
                    unread: None,
                    workspace_id: None,
                    kinds: Vec::new(),
                    cursor,
                    limit: PART_ROWS,
                    include_total: false,
                };
                Part::page(self.list_inbox(caller, request).await?)
            }
            "preferences" => Part::whole([PreferencesView::from(&self.preferences(caller).await?)]),
            "settings" => Part::whole([self.settings(caller).await?]),
            "subscriptions" => {
                let request = ListSubscriptions {
                    level: None,
                    subject: None,
                    workspace_id: None,
                    cursor,
                    limit: PART_ROWS,
                };
                Part::page(self.list_subscriptions(caller, request).await?)
            }
            other => Err(Error::internal(format!("no file {other:?}"))),
        }
    }
}
