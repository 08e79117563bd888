//! Which events a webhook wants.

use std::collections::BTreeSet;

use kernel::FieldError;

/// What the test button sends; no pattern is needed for it.
pub(crate) const TEST_EVENT: &str = "webhook.test";
pub(crate) const MAX_PATTERNS: usize = 50;
/// Concerns the inbox of one person and not the workspace.
const PERSONAL: &str = "notification.created";

/// Of the public names in the catalog, those that webhooks send.
pub(crate) fn offered_types<'a>(public: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    public.filter(|name| *name != PERSONAL)
}

/// `*` is every event, `task.*` every one that begins with `task.`, anything else one name.
pub(crate) fn matches(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => event_type.starts_with(prefix),
        None => pattern == event_type,
    }
}

/// Sorted, each once. A pattern that no event of `offered` matches is an error at its place.
pub(crate) fn patterns(wanted: &[String], offered: &[&str], pointer: &str, errors: &mut Vec<FieldError>) -> Vec<String> {
    if wanted.is_empty() || wanted.len() > MAX_PATTERNS {
        errors.push(FieldError::new(
            pointer,
            "length",
            format!("must hold 1 to {MAX_PATTERNS} event types"),
        ));
        return Vec::new();
    }
    for (index, pattern) in wanted.iter().enumerate() {
        let formed = pattern
            .strip_suffix('*')
            .is_none_or(|prefix| prefix.is_empty() || prefix.ends_with('.'));
        if !formed || !offered.iter().any(|name| matches(pattern, name)) {
            errors.push(FieldError::new(
                format!("{pointer}/{index}"),
                "unknown_event_type",
                "is neither the name of an event, nor the start of one such as `task.*`, nor `*`",
            ));
        }
    }
    let sorted: BTreeSet<&String> = wanted.iter().collect();
    sorted.into_iter().cloned().collect()
}

/// For the description of the API: all names and patterns that are worth offering.
pub(crate) fn event_names(offered: &[&str]) -> Vec<String> {
    let groups: BTreeSet<String> = offered
        .iter()
        .filter_map(|name| name.split_once('.'))
        .map(|(group, _)| format!("{group}.*"))
        .collect();
    std::iter::once("*".to_owned())
        .chain(groups)
        .chain(offered.iter().map(|&name| name.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &[&str] = &["task.created", "task.due_soon", "task_settings.changed", "member.added"];

    #[test]
    fn a_pattern_matches_a_name_a_group_or_all() {
        for (pattern, event_type, wanted) in [
            ("*", "task.created", true),
            ("task.*", "task.created", true),
            ("task.*", "task_settings.changed", false),
            ("task.created", "task.created", true),
            ("task.created", "task.created_again", false),
            ("member.*", "task.created", false),
        ] {
            assert_eq!(matches(pattern, event_type), wanted, "{pattern} {event_type}");
        }
    }

    #[test]
    fn only_patterns_that_match_something_are_taken() {
        let check = |wanted: &[&str]| {
            let mut errors = Vec::new();
            let wanted: Vec<String> = wanted.iter().map(|&text| text.to_owned()).collect();
            let sorted = patterns(&wanted, OFFERED, "/event_types", &mut errors);
            (sorted, errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>())
        };
        assert_eq!(
            check(&["task.*", "member.added", "task.*"]),
            (vec!["member.added".into(), "task.*".into()], vec![])
        );
        assert_eq!(check(&["*"]).1, Vec::<String>::new());
        for bad in [
            "",
            "task",
            "task.",
            "tas*",
            "task.cr*",
            "*.created",
            "invoice.*",
            "TASK.CREATED",
            "task.*.x",
        ] {
            assert_eq!(check(&["*", bad]).1, ["/event_types/1"], "{bad:?}");
        }
        assert_eq!(check(&[]).1, ["/event_types"]);
        assert_eq!(check(&["*"; MAX_PATTERNS + 1]).1, ["/event_types"]);
    }

    #[test]
    fn personal_news_are_not_offered() {
        let offered: Vec<&str> = offered_types(["task.created", "notification.created"].into_iter()).collect();
        assert_eq!(offered, ["task.created"]);
        assert_eq!(
            event_names(&["task.created", "task.updated"]),
            ["*", "task.*", "task.created", "task.updated"]
        );
    }
}
