//! Kinds of notifications, their channels and what is on by default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Way a notification reaches a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    InApp,
    Email,
}

/// Which channels are on for one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Channels {
    /// A row in the inbox, and a live event.
    pub in_app: bool,
    /// A mail.
    pub email: bool,
}

// `tt` and not `literal`: utoipa does not see through the latter when it reads `rename`.
macro_rules! kinds {
    ($($(#[$meta:meta])* $variant:ident => $text:tt, in_app: $in_app:literal, email: $email:literal;)+) => {
        /// What a notification is about. Ordered: when an event concerns a person in several ways, the first counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum Kind { $($(#[$meta])* #[serde(rename = $text)] $variant),+ }

        impl Kind {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub(crate) const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
            pub(crate) const fn default_channels(self) -> Channels {
                match self { $(Self::$variant => Channels { in_app: $in_app, email: $email }),+ }
            }
        }
        impl std::str::FromStr for Kind {
            type Err = kernel::Error;
            fn from_str(text: &str) -> kernel::Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err(kernel::Error::internal(format!("unknown notification kind {other:?}"))),
                }
            }
        }
    };
}

kinds! {
    /// You were mentioned in a description or a comment.
    TaskMentioned => "task.mentioned", in_app: true, email: true;
    /// A task was assigned to you, at its creation or later.
    TaskAssigned => "task.assigned", in_app: true, email: true;
    /// Tasks came from a file, some of them assigned to you. Told once for all of them.
    TasksImported => "task.imported", in_app: true, email: true;
    /// A task of yours is past its due moment.
    TaskOverdue => "task.overdue", in_app: true, email: true;
    /// The due moment of a task of yours is near.
    TaskDueSoon => "task.due_soon", in_app: true, email: true;
    /// A task you take part in was completed.
    TaskCompleted => "task.completed", in_app: true, email: false;
    /// A completed task you take part in was opened again.
    TaskReopened => "task.reopened", in_app: true, email: false;
    /// Somebody commented on a task you take part in.
    TaskCommented => "task.commented", in_app: true, email: true;
    /// A task you take part in was changed.
    TaskUpdated => "task.updated", in_app: true, email: false;
    /// A task was created in a project you can read.
    TaskCreated => "task.created", in_app: false, email: false;
    /// You were invited to a workspace. The mail with the link is sent by the invitation itself.
    MemberInvited => "member.invited", in_app: true, email: false;
    /// Your role in a workspace or project changed.
    MemberRoleChanged => "member.role_changed", in_app: true, email: true;
    /// You were added to a workspace, or (for its owners) somebody joined it.
    MemberAdded => "member.added", in_app: true, email: false;
    /// Somebody left a workspace you own, or was removed from it.
    MemberRemoved => "member.removed", in_app: true, email: false;
}

impl Kind {
    /// Invitations reach people before they have access; everything else stops with the access.
    pub(crate) const fn needs_access(self) -> bool {
        !matches!(self, Self::MemberInvited)
    }

    /// Addressed to the person by somebody: gets through a mute.
    pub(crate) const fn is_personal(self) -> bool {
        matches!(self, Self::TaskMentioned | Self::TaskAssigned)
    }

    /// False where another service already sends the mail, so that nobody gets it twice.
    pub(crate) const fn offers(self, channel: Channel) -> bool {
        !matches!((self, channel), (Self::MemberInvited, Channel::Email))
    }
}

/// What one person chose; kinds that are absent have their default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Preferences(pub BTreeMap<Kind, Channels>);

impl Preferences {
    /// Of somebody who subscribed: new tasks are in the inbox unless they were switched off.
    pub(crate) fn of_subscriber(mut self) -> Self {
        let on = Channels {
            in_app: true,
            email: false,
        };
        self.0.entry(Kind::TaskCreated).or_insert(on);
        self
    }

    pub(crate) fn channels(&self, kind: Kind) -> Channels {
        let chosen = self.0.get(&kind).copied().unwrap_or_else(|| kind.default_channels());
        Channels {
            in_app: chosen.in_app && kind.offers(Channel::InApp),
            email: chosen.email && kind.offers(Channel::Email),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_kind() -> impl Strategy<Value = Kind> {
        proptest::sample::select(Kind::ALL)
    }

    proptest! {
        #[test]
        fn a_choice_for_one_kind_leaves_the_others_at_their_default(kind in any_kind(), other in any_kind(), in_app: bool, email: bool) {
            let preferences = Preferences(BTreeMap::from([(kind, Channels { in_app, email })]));
            let expected = if kind == other { Channels { in_app, email: email && kind.offers(Channel::Email) } } else { other.default_channels() };
            prop_assert_eq!(preferences.channels(other), expected);
        }

        #[test]
        fn a_kind_survives_its_text(kind in any_kind()) {
            prop_assert_eq!(kind.as_str().parse::<Kind>().ok(), Some(kind));
            prop_assert_eq!(serde_json::to_value(kind).ok(), Some(serde_json::Value::from(kind.as_str())));
        }
    }

    #[test]
    fn an_invitation_is_never_mailed_twice() {
        let all_on = Preferences(BTreeMap::from([(Kind::MemberInvited, Channels { in_app: true, email: true })]));
        assert!(!all_on.channels(Kind::MemberInvited).email);
    }

    #[test]
    fn the_documented_defaults_are_the_real_ones_in_the_real_order() {
        let page = include_str!("../../../../docs/api/notifications.md");
        let rows: Vec<(&str, &str, &str)> = page
            .lines()
            .filter(|line| line.starts_with("| `task.") || line.starts_with("| `member."))
            .map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                (cells[1].trim_matches('`'), cells[3], cells[4])
            })
            .collect();
        let switch = |on: bool| if on { "on" } else { "off" };
        let real: Vec<(&str, &str, &str)> = Kind::ALL
            .iter()
            .map(|kind| {
                let channels = kind.default_channels();
                (kind.as_str(), switch(channels.in_app), switch(channels.email))
            })
            .collect();
        assert_eq!(rows, real);
    }
}
