//! What a person chose to hear of one project or one task.

use std::collections::{BTreeMap, BTreeSet};

use kernel::ids::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Kind;

macro_rules! texts {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            pub(crate) const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
        }
        impl std::str::FromStr for $name {
            type Err = kernel::Error;
            fn from_str(text: &str) -> kernel::Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err(kernel::Error::internal(format!("unknown {} {other:?}", stringify!($name)))),
                }
            }
        }
    };
}
pub(super) use texts;

/// How much a person wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All news of it, as if one took part in every task.
    Subscribed,
    /// Nothing of it, except what is addressed to the person: being mentioned, and being assigned.
    Muted,
}
texts!(Level { Subscribed => "subscribed", Muted => "muted" });

/// What a subscription is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Project,
    Task,
}
texts!(Subject { Project => "project", Task => "task" });

/// What holds for a task: the choice for the task itself wins over that for its project.
pub(crate) fn effective(project: Option<Level>, task: Option<Level>) -> Option<Level> {
    task.or(project)
}

/// The people who chose something about a task or its project, sorted by what holds for the task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    pub subscribed: BTreeSet<UserId>,
    pub muted: BTreeSet<UserId>,
}

impl Choices {
    pub(crate) fn new(rows: impl IntoIterator<Item = (UserId, Subject, Level)>) -> Self {
        let mut chosen: BTreeMap<UserId, (Option<Level>, Option<Level>)> = BTreeMap::new();
        for (user, subject, level) in rows {
            let (project, task) = chosen.entry(user).or_default();
            match subject {
                Subject::Project => *project = Some(level),
                Subject::Task => *task = Some(level),
            }
        }
        let mut choices = Self::default();
        for (user, (project, task)) in chosen {
            match effective(project, task) {
                Some(Level::Subscribed) => choices.subscribed.insert(user),
                Some(Level::Muted) => choices.muted.insert(user),
                None => false,
            };
        }
        choices
    }

    /// Leaves of every muting person's reasons only those addressed to that person.
    pub(crate) fn silence(&self, reasons: &mut BTreeMap<UserId, BTreeSet<Kind>>) {
        for user in &self.muted {
            if let Some(reasons) = reasons.get_mut(user) {
                reasons.retain(|kind| kind.is_personal());
            }
        }
        reasons.retain(|_, reasons| !reasons.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ids::Uuid;
    use proptest::prelude::*;

    fn user(n: u8) -> UserId {
        UserId(Uuid::from_u128(u128::from(n)))
    }
    fn some_rows() -> impl Strategy<Value = Vec<(UserId, Subject, Level)>> {
        let level = proptest::sample::select(&[Level::Subscribed, Level::Muted]);
        let subject = proptest::sample::select(&[Subject::Project, Subject::Task]);
        let rows = proptest::collection::btree_map((0_u8..5, subject.prop_map(|subject| subject == Subject::Task)), level, 0..8);
        rows.prop_map(|rows| {
            let row = |((who, is_task), level)| (user(who), if is_task { Subject::Task } else { Subject::Project }, level);
            rows.into_iter().map(row).collect()
        })
    }

    proptest! {
        #[test]
        fn a_person_subscribes_or_mutes_and_the_task_decides(rows in some_rows()) {
            let choices = Choices::new(rows.clone());
            prop_assert!(choices.subscribed.is_disjoint(&choices.muted));
            for (who, subject, level) in &rows {
                let own_task = rows.iter().any(|(other, subject, _)| other == who && *subject == Subject::Task);
                if *subject == Subject::Task || !own_task {
                    prop_assert_eq!(choices.muted.contains(who), *level == Level::Muted);
                    prop_assert_eq!(choices.subscribed.contains(who), *level == Level::Subscribed);
                }
            }
        }

        #[test]
        fn a_mute_leaves_exactly_what_is_personal(rows in some_rows(), kinds in proptest::collection::btree_set(proptest::sample::select(Kind::ALL), 1..5)) {
            let choices = Choices::new(rows);
            let before: BTreeMap<UserId, BTreeSet<Kind>> = (0..5).map(|n| (user(n), kinds.clone())).collect();
            let mut after = before.clone();
            choices.silence(&mut after);
            for (who, kinds) in before {
                let left = after.get(&who).cloned().unwrap_or_default();
                let wanted: BTreeSet<Kind> = kinds.into_iter().filter(|kind| kind.is_personal() || !choices.muted.contains(&who)).collect();
                prop_assert_eq!(left, wanted);
            }
        }
    }
}
