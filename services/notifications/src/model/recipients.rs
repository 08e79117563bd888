//! Who hears of a fact about a task, and for which reason.

use std::collections::{BTreeMap, BTreeSet};

use kernel::ids::UserId;

use super::{Channels, Choices, Kind, Preferences};

/// What happened to a task, as far as it decides who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskFact {
    Created,
    Updated,
    Assigned,
    Completed,
    Reopened,
    Commented,
    /// A comment or its mentions changed: only those newly mentioned hear of it.
    CommentEdited,
    DueSoon,
    Overdue,
}

/// The people around a task after the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct People {
    /// Who did it; never told.
    pub actor: Option<UserId>,
    pub creator: Option<UserId>,
    pub assignees: BTreeSet<UserId>,
    /// Newly assigned by this very fact.
    pub added: BTreeSet<UserId>,
    /// Newly mentioned by this very fact.
    pub mentioned: BTreeSet<UserId>,
    /// Those who commented before.
    pub participants: BTreeSet<UserId>,
    /// Those who can read the project, when somebody wants to hear of every new task.
    pub audience: BTreeSet<UserId>,
    /// Those who subscribed to the task or its project, and those who muted it.
    pub choices: Choices,
}

/// Every reason each person has; what is muted may hide another that is not, so all are kept. Never the actor.
pub(crate) fn task_recipients(fact: TaskFact, people: &People) -> BTreeMap<UserId, BTreeSet<Kind>> {
    let mut reasons: BTreeMap<UserId, BTreeSet<Kind>> = BTreeMap::new();
    let mut tell = |who: &mut dyn Iterator<Item = UserId>, kind: Kind| {
        for user in who {
            reasons.entry(user).or_default().insert(kind);
        }
    };
    let concerned = || {
        let part = people.assignees.iter().chain(&people.creator).chain(&people.participants);
        part.chain(&people.choices.subscribed).copied()
    };
    tell(&mut people.mentioned.iter().copied(), Kind::TaskMentioned);
    match fact {
        TaskFact::Created => {
            tell(&mut people.assignees.iter().copied(), Kind::TaskAssigned);
            tell(
                &mut people.audience.iter().chain(&people.choices.subscribed).copied(),
                Kind::TaskCreated,
            );
        }
        TaskFact::Assigned => tell(&mut people.added.iter().copied(), Kind::TaskAssigned),
        TaskFact::Updated => tell(&mut concerned(), Kind::TaskUpdated),
        TaskFact::Completed => tell(&mut concerned(), Kind::TaskCompleted),
        TaskFact::Reopened => tell(&mut concerned(), Kind::TaskReopened),
        TaskFact::Commented => tell(&mut concerned(), Kind::TaskCommented),
        TaskFact::CommentEdited => {}
        TaskFact::DueSoon | TaskFact::Overdue => {
            let kind = if fact == TaskFact::DueSoon {
                Kind::TaskDueSoon
            } else {
                Kind::TaskOverdue
            };
            if people.assignees.is_empty() {
                // Nobody is responsible: whoever wrote it down should know.
                tell(&mut people.creator.iter().copied(), kind);
            } else {
                tell(&mut people.assignees.iter().copied(), kind);
            }
        }
    }
    if let Some(actor) = people.actor {
        reasons.remove(&actor);
    }
    people.choices.silence(&mut reasons);
    reasons
}

/// Whether an update is worth telling: a drag on the board is not, and what has an event of its own
/// (assignment, completion) is told by that.
pub(crate) fn concerns(changed: &[String]) -> bool {
    const QUIET: [&str; 14] = [
        "position",
        "rank",
        "assignees",
        "assignee_ids",
        "completed",
        "completed_at",
        "completed_by",
        "completion",
        "archived",
        "archived_at",
        "version",
        "updated_at",
        "state_position",
        "comments",
    ];
    changed.iter().any(|field| !QUIET.contains(&field.as_str()))
}

/// One change can be announced by several events (edited *and* assigned). A later one is told on a channel only when its
/// reason is more specific than what the person already has of this change there.
pub(crate) fn outranks(later: Kind, told: Option<Kind>) -> bool {
    told.is_none_or(|told| later < told)
}

/// The reason that is told on each channel; `None`: nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub in_app: Option<Kind>,
    pub email: Option<Kind>,
}

impl Told {
    /// On each channel the most specific reason that the person left on ([`Kind`] is ordered by it).
    pub(crate) fn choose(reasons: &BTreeSet<Kind>, preferences: &Preferences) -> Self {
        let first = |on: fn(Channels) -> bool| reasons.iter().copied().find(|kind| on(preferences.channels(*kind)));
        Self {
            in_app: first(|channels| channels.in_app),
            email: first(|channels| channels.email),
        }
    }

    /// What is new to somebody who was told `before` of the same change.
    pub(crate) fn news(self, before: Self) -> Self {
        Self {
            in_app: self.in_app.filter(|kind| outranks(*kind, before.in_app)),
            email: self.email.filter(|kind| outranks(*kind, before.email)),
        }
    }

    /// Both together, the more specific reason on each channel.
    pub(crate) fn with(self, other: Self) -> Self {
        let first = |a: Option<Kind>, b: Option<Kind>| a.into_iter().chain(b).min();
        Self {
            in_app: first(self.in_app, other.in_app),
            email: first(self.email, other.email),
        }
    }

    /// What the inbox calls it; a row that only remembers a mail goes by the mail's reason.
    pub(crate) fn kind(self) -> Option<Kind> {
        self.in_app.or(self.email)
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
    fn some_users() -> impl Strategy<Value = BTreeSet<UserId>> {
        proptest::collection::btree_set((0_u8..6).prop_map(user), 0..5)
    }
    fn some_people() -> impl Strategy<Value = People> {
        let one = || proptest::option::of((0_u8..6).prop_map(user));
        (one(), one(), some_users(), some_users(), some_users(), some_users(), some_users()).prop_map(
            |(actor, creator, assignees, added, mentioned, participants, audience)| People {
                actor,
                creator,
                assignees,
                added,
                mentioned,
                participants,
                audience,
                choices: Choices::default(),
            },
        )
    }
    fn any_fact() -> impl Strategy<Value = TaskFact> {
        use TaskFact::{Assigned, CommentEdited, Commented, Completed, Created, DueSoon, Overdue, Reopened, Updated};
        proptest::sample::select(&[
            Created,
            Updated,
            Assigned,
            Completed,
            Reopened,
            Commented,
            CommentEdited,
            DueSoon,
            Overdue,
        ])
    }

    proptest! {
        #[test]
        fn the_actor_is_never_told(fact in any_fact(), people in some_people()) {
            let told = task_recipients(fact, &people);
            prop_assert!(people.actor.is_none_or(|actor| !told.contains_key(&actor)));
        }

        #[test]
        fn nobody_unconcerned_is_told(fact in any_fact(), people in some_people()) {
            let mut known: BTreeSet<UserId> = people.creator.into_iter().collect();
            for group in [&people.assignees, &people.added, &people.mentioned, &people.participants, &people.audience] {
                known.extend(group);
            }
            prop_assert!(task_recipients(fact, &people).keys().all(|user| known.contains(user)));
        }

        #[test]
        fn a_mention_wins_over_every_other_reason(fact in any_fact(), people in some_people()) {
            let told = task_recipients(fact, &people);
            for user in people.mentioned.iter().filter(|user| Some(**user) != people.actor) {
                prop_assert_eq!(told.get(user).and_then(BTreeSet::first), Some(&Kind::TaskMentioned));
            }
        }

        #[test]
        fn every_assignee_but_the_actor_hears_of_a_new_task_exactly_once(people in some_people()) {
            let told = task_recipients(TaskFact::Created, &people);
            for user in people.assignees.iter().filter(|user| Some(**user) != people.actor) {
                prop_assert!(told.get(user).is_some_and(|reasons| reasons.contains(&Kind::TaskAssigned)));
            }
        }

        #[test]
        fn a_later_event_of_the_same_change_only_ever_gets_more_specific(a in proptest::sample::select(Kind::ALL), b in proptest::sample::select(Kind::ALL)) {
            prop_assert!(!(outranks(a, Some(b)) && outranks(b, Some(a))));
            prop_assert!(!outranks(a, Some(a)));
            prop_assert!(outranks(a, None));
        }
    }

    fn only(user: UserId, kind: Kind) -> (UserId, BTreeSet<Kind>) {
        (user, BTreeSet::from([kind]))
    }

    #[test]
    fn due_moments_go_to_the_creator_only_when_nobody_is_assigned() {
        let mut people = People {
            creator: Some(user(1)),
            ..People::default()
        };
        assert_eq!(
            task_recipients(TaskFact::DueSoon, &people),
            BTreeMap::from([only(user(1), Kind::TaskDueSoon)])
        );
        people.assignees.insert(user(2));
        assert_eq!(
            task_recipients(TaskFact::Overdue, &people),
            BTreeMap::from([only(user(2), Kind::TaskOverdue)])
        );
    }

    #[test]
    fn a_comment_reaches_assignees_creator_and_earlier_commenters() {
        let people = People {
            actor: Some(user(3)),
            creator: Some(user(1)),
            assignees: BTreeSet::from([user(2)]),
            participants: BTreeSet::from([user(3), user(4)]),
            mentioned: BTreeSet::from([user(5)]),
            ..People::default()
        };
        let told = task_recipients(TaskFact::Commented, &people);
        assert_eq!(
            told,
            BTreeMap::from([
                only(user(1), Kind::TaskCommented),
                only(user(2), Kind::TaskCommented),
                only(user(4), Kind::TaskCommented),
                only(user(5), Kind::TaskMentioned),
            ])
        );
    }

    fn some_reasons() -> impl Strategy<Value = BTreeSet<Kind>> {
        proptest::collection::btree_set(proptest::sample::select(Kind::ALL), 0..4)
    }
    fn some_preferences() -> impl Strategy<Value = Preferences> {
        let channels = (any::<bool>(), any::<bool>()).prop_map(|(in_app, email)| Channels { in_app, email });
        proptest::collection::btree_map(proptest::sample::select(Kind::ALL), channels, 0..13).prop_map(Preferences)
    }

    proptest! {
        /// Switching a reason off never hides another that is on.
        #[test]
        fn each_channel_tells_the_most_specific_reason_that_is_on(reasons in some_reasons(), preferences in some_preferences()) {
            let told = Told::choose(&reasons, &preferences);
            for (chosen, on) in [
                (told.in_app, reasons.iter().copied().filter(|kind| preferences.channels(*kind).in_app).min()),
                (told.email, reasons.iter().copied().filter(|kind| preferences.channels(*kind).email).min()),
            ] {
                prop_assert_eq!(chosen, on);
            }
        }

        /// In whatever order the events of one change come, what was told in the end is the most specific reason on each channel,
        /// and nothing is told twice.
        #[test]
        fn the_events_of_one_change_converge(sets in proptest::collection::vec(some_reasons(), 1..4), preferences in some_preferences()) {
            let mut told = Told::default();
            for reasons in &sets {
                let news = Told::choose(reasons, &preferences).news(told);
                prop_assert!(news.in_app.is_none() || news.in_app != told.in_app);
                prop_assert!(news.email.is_none() || news.email != told.email);
                told = told.with(news);
            }
            let all: BTreeSet<Kind> = sets.iter().flatten().copied().collect();
            prop_assert_eq!(told, Told::choose(&all, &preferences));
        }
    }

    #[test]
    fn who_subscribed_takes_part_and_who_muted_hears_only_what_is_addressed_to_them() {
        let people = People {
            actor: Some(user(9)),
            creator: Some(user(1)),
            assignees: BTreeSet::from([user(2), user(3)]),
            mentioned: BTreeSet::from([user(3)]),
            choices: Choices {
                subscribed: BTreeSet::from([user(4), user(9)]),
                muted: BTreeSet::from([user(1), user(2), user(3)]),
            },
            ..People::default()
        };
        let told = task_recipients(TaskFact::Commented, &people);
        assert_eq!(
            told,
            BTreeMap::from([only(user(3), Kind::TaskMentioned), only(user(4), Kind::TaskCommented)])
        );
        let told = task_recipients(TaskFact::Created, &people);
        assert_eq!(
            told.keys().copied().collect::<Vec<_>>(),
            vec![user(2), user(3), user(4)],
            "an assignment is addressed to its assignee"
        );
        assert!(!task_recipients(TaskFact::Overdue, &people).contains_key(&user(2)));
    }

    #[test]
    fn moving_a_card_is_not_news_but_renaming_it_is() {
        assert!(!concerns(&["position".to_owned(), "updated_at".to_owned()]));
        assert!(concerns(&["position".to_owned(), "title".to_owned()]));
        assert!(!concerns(&[]));
    }
}
