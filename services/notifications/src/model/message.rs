//! What a notification says: one sentence for the inbox, subject and text for the mail.

use std::fmt::Write as _;

use kernel::Timestamp;
use kernel::ids::{CommentId, InvitationId};
use serde::{Deserialize, Serialize};

use super::Kind;

/// What a notification remembers of the moment it was made, so that a list needs no other service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Content {
    /// Title of the task, or name of the workspace.
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// Whom it is about when that is not the reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_id: Option<CommentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation_id: Option<InvitationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_name: Option<String>,
    /// How many tasks it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl Content {
    fn actor(&self) -> &str {
        self.actor_name.as_deref().unwrap_or("Somebody")
    }
    /// `ABC-12 Fix the login`, or the title alone.
    fn task(&self) -> String {
        match &self.task_key {
            Some(key) => format!("{key} {}", self.title),
            None => self.title.clone(),
        }
    }
    fn place(&self) -> String {
        match &self.project_name {
            Some(project) => format!("project {project} of {}", self.title),
            None => self.title.clone(),
        }
    }
}

/// One line in English; clients that speak other languages build their own from `kind` and the other members.
pub(crate) fn sentence(kind: Kind, content: &Content) -> String {
    let actor = content.actor();
    let task = content.task();
    match kind {
        Kind::TaskMentioned => format!("{actor} mentioned you in {task}"),
        Kind::TaskAssigned => format!("{actor} assigned {task} to you"),
        Kind::TasksImported => match content.count.unwrap_or_default() {
            1 => format!("{actor} imported a task into {} and assigned it to you", content.title),
            count => format!(
                "{actor} imported {count} tasks into {}, some of them assigned to you",
                content.title
            ),
        },
        Kind::TaskOverdue => format!("{task} is overdue"),
        Kind::TaskDueSoon => format!("{task} is due soon"),
        Kind::TaskCompleted => format!("{actor} completed {task}"),
        Kind::TaskReopened => format!("{actor} reopened {task}"),
        Kind::TaskCommented => format!("{actor} commented on {task}"),
        Kind::TaskUpdated => format!("{actor} changed {task}"),
        Kind::TaskCreated => format!("{actor} created {task}"),
        Kind::MemberInvited => format!("{actor} invited you to {}", content.title),
        Kind::MemberRoleChanged => match &content.role {
            Some(role) => format!("{actor} made you {role} in {}", content.place()),
            None => format!("{actor} changed your role in {}", content.place()),
        },
        Kind::MemberAdded => match &content.person_name {
            Some(person) => format!("{person} joined {}", content.title),
            None => format!("{actor} added you to {}", content.title),
        },
        Kind::MemberRemoved => format!(
            "{} is no longer a member of {}",
            content.person_name.as_deref().unwrap_or("Somebody"),
            content.title
        ),
    }
}

/// Subject and body of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailText {
    pub subject: String,
    pub text: String,
}

/// No mail client shows more, and a subject is one header line.
const MAX_SUBJECT_CHARS: usize = 180;

/// `link` reads what it is about, `preferences` switches such mails off; times are in the reader's zone.
pub(crate) fn mail(kind: Kind, content: &Content, time_zone: &str, link: &str, preferences: &str) -> MailText {
    let summary = sentence(kind, content);
    let subject: String = one_line(&summary).chars().take(MAX_SUBJECT_CHARS).collect();
    let mut text = format!("{summary}.\n");
    // Writing to a String cannot fail.
    if let Some(due) = content.due_at {
        let _ = write!(text, "\nDue: {}\n", local_time(due, time_zone));
    }
    if let Some(excerpt) = content.excerpt.as_deref().filter(|excerpt| !excerpt.is_empty()) {
        text.push('\n');
        for quoted in excerpt.lines() {
            let _ = writeln!(text, "> {quoted}");
        }
    }
    if kind == Kind::TaskUpdated && !content.changed.is_empty() {
        let _ = write!(text, "\nChanged: {}\n", content.changed.join(", ").replace('_', " "));
    }
    let _ = write!(
        text,
        "\n{link}\n\n-- \nYou get this mail because of your notification preferences ({}). Change them at {preferences}\n",
        kind.as_str()
    );
    MailText { subject, text }
}

/// A title may hold line breaks; a subject, or a line of a list, must not.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `Saturday, 21 November 2026, 10:30 (Europe/Berlin)`; UTC when the zone is unknown.
fn local_time(at: Timestamp, time_zone: &str) -> String {
    let (zoned, name) = match at.to_jiff().in_tz(time_zone) {
        Ok(zoned) => (zoned, time_zone),
        Err(_) => (at.to_jiff().to_zoned(jiff::tz::TimeZone::UTC), "UTC"),
    };
    format!("{} ({name})", zoned.strftime("%A, %-d %B %Y, %H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content() -> Content {
        Content {
            title: "Fix the login".into(),
            task_key: Some("ABC-12".into()),
            actor_name: Some("Ada".into()),
            ..Content::default()
        }
    }

    #[test]
    fn due_times_are_in_the_readers_zone() {
        let due = Content {
            due_at: "2026-11-21T09:30:00Z".parse().ok(),
            ..content()
        };
        let mail = mail(Kind::TaskDueSoon, &due, "Europe/Berlin", "http://x/tasks/1", "http://x/p");
        assert_eq!(mail.subject, "ABC-12 Fix the login is due soon");
        assert!(
            mail.text.contains("Due: Saturday, 21 November 2026, 10:30 (Europe/Berlin)"),
            "{}",
            mail.text
        );
        let unknown = super::mail(Kind::TaskDueSoon, &due, "Mars/Olympus", "http://x/tasks/1", "http://x/p");
        assert!(unknown.text.contains("09:30 (UTC)"), "{}", unknown.text);
    }

    #[test]
    fn a_mail_says_who_what_where_and_how_to_stop_it() {
        let comment = Content {
            excerpt: Some("Have a look\nplease".into()),
            ..content()
        };
        let mail = mail(Kind::TaskCommented, &comment, "UTC", "http://x/tasks/1", "http://x/p");
        assert_eq!(
            mail.text,
            "Ada commented on ABC-12 Fix the login.\n\n> Have a look\n> please\n\nhttp://x/tasks/1\n\n-- \nYou get this mail because of your \
             notification preferences (task.commented). Change them at http://x/p\n"
        );
    }

    proptest! {
        /// No title can smuggle a header into a mail.
        #[test]
        fn a_subject_is_one_bounded_line(title in any::<String>(), kind in proptest::sample::select(Kind::ALL)) {
            let mail = mail(kind, &Content { title, ..Content::default() }, "UTC", "l", "p");
            prop_assert!(!mail.subject.chars().any(char::is_control));
            prop_assert!(mail.subject.chars().count() <= MAX_SUBJECT_CHARS);
        }
    }
}
