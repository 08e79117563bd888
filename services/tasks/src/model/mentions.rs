//! Mentions: `@[Name](user:UUID)` in Markdown.
//!
//! The id decides, the name is only what readers see. The form is a Markdown link after an `@`, so a CommonMark
//! parser finds it and, as the language wants, nothing inside code spans, code blocks or escaped text counts.

use kernel::ids::{UserId, parse_uuid};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// At most this many people are mentioned by one text; further ones are plain text.
pub(crate) const MAX_MENTIONS: usize = 50;

/// The people a Markdown text mentions: each once, in the order of their first mention.
pub(crate) fn mentioned(markdown: &str) -> Vec<UserId> {
    let mut found: Vec<UserId> = Vec::new();
    // Most texts mention nobody; parsing them would be wasted.
    if !markdown.contains("](user:") {
        return found;
    }
    let mut after_at = false;
    for event in Parser::new_ext(markdown, Options::empty()) {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => {
                if let Some(id) = dest_url
                    .strip_prefix("user:")
                    .filter(|_| after_at)
                    .and_then(|id| parse_uuid(id).ok())
                    && !found.contains(&UserId(id))
                {
                    found.push(UserId(id));
                    if found.len() == MAX_MENTIONS {
                        break;
                    }
                }
                after_at = false;
            }
            Event::Text(text) => after_at = text.ends_with('@'),
            _ => after_at = false,
        }
    }
    found
}

/// The start of a comment for notifications: one line, at most `max` characters, mentions as `@Name`.
pub(crate) fn excerpt(markdown: &str, max: usize) -> String {
    let mut text = String::new();
    // Whatever lies beyond cannot reach the excerpt: link targets and markup take bytes but rarely this many.
    let head: String = markdown.chars().take(max * 8).collect();
    for event in Parser::new_ext(&head, Options::empty()) {
        match event {
            Event::Text(part) | Event::Code(part) => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::CodeBlock) => {
                text.push(' ');
            }
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANN: &str = "01910000-0000-7000-8000-000000000001";
    const BOB: &str = "01910000-0000-7000-8000-000000000002";

    fn ids(text: &str) -> Vec<String> {
        mentioned(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn finds_each_person_once_in_order() {
        let text = format!("Hi @[Bob](user:{BOB}) and @[Ann *the* boss](user:{ANN}), again @[Bobby](user:{BOB})");
        assert_eq!(ids(&text), [BOB, ANN]);
        assert_eq!(ids(&format!("(@[Ann](user:{ANN}))\n\n- **@[Bob](user:{BOB})**")), [ANN, BOB]);
    }

    #[test]
    fn code_and_escapes_do_not_mention() {
        for text in [
            format!("`@[Ann](user:{ANN})`"),
            format!("``a ` @[Ann](user:{ANN})``"),
            format!("```\n@[Ann](user:{ANN})\n```"),
            format!("~~~md\n@[Ann](user:{ANN})\n~~~"),
            format!("    @[Ann](user:{ANN})"),
            format!("@\\[Ann](user:{ANN})"),
            format!("[Ann](user:{ANN})"),
            format!("mail me @ [Ann](user:{ANN})"),
            "@[Ann](user:42)".into(),
            format!("@[Ann](https://example.org/user:{ANN})"),
            format!("@[Ann](user:{ANN}"),
        ] {
            assert_eq!(ids(&text), Vec::<String>::new(), "{text}");
        }
        // An unclosed code span is text, as CommonMark says.
        assert_eq!(ids(&format!("` @[Ann](user:{ANN})")), [ANN]);
    }

    #[test]
    fn the_number_of_mentions_is_bounded() {
        let text: String = (0..80)
            .map(|i| format!("@[x](user:01910000-0000-7000-8000-0000000001{i:02}) "))
            .collect();
        assert_eq!(mentioned(&text).len(), MAX_MENTIONS);
    }

    #[test]
    fn an_excerpt_is_one_short_line_without_markup() {
        assert_eq!(
            excerpt(&format!("Hello @[Ann](user:{ANN}),\n\n**see** `x`"), 200),
            "Hello @Ann, see x"
        );
        assert_eq!(excerpt(&"a".repeat(300), 200).chars().count(), 200);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
            let _ = mentioned(&format!("{text} @[a](user:{ANN})"));
            prop_assert!(excerpt(&text, 20).chars().count() <= 20);
        }
    }
}
