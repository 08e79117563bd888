//! Terms of the full-text search: the same on every engine, because they are made here.
//!
//! Text is decomposed (Unicode NFKD), case-folded (`CaseFolding.txt`, full: "ß" is "ss", a final sigma a sigma), stripped
//! of combining marks, then cut at everything that is neither letter nor digit. Scripts written without spaces (Han,
//! Hiragana, Katakana) give one term per character. Stored rows hold what the rule gave when they were written: whoever
//! changes it writes a migration that fills `task_refold` again.

use std::collections::BTreeSet;

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longest term, in characters; longer words are cut, in texts and queries alike.
pub(crate) const MAX_TERM: usize = 64;
/// Most different terms of one task. The title's terms come first.
pub(crate) const MAX_TERMS: usize = 500;
/// Most words of one query that count.
pub(crate) const MAX_QUERY_WORDS: usize = 12;

/// Without case and accents: what searching and sorting compare. Decomposed before and after the folding, as
/// compatibility caseless matching wants (Unicode 3.13, D146).
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded = UniCase::unicode(text.nfkd().collect::<String>()).to_folded_case();
    folded.nfkd().filter(|c| !is_combining_mark(*c)).collect()
}

fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Calls `found` for every word in turn until it answers `false`.
fn words(text: &str, mut found: impl FnMut(String) -> bool) {
    let mut word = String::new();
    let mut length = 0;
    for c in fold(text).chars().chain(std::iter::once(' ')) {
        let alone = stands_alone(c);
        if c.is_alphanumeric() && !alone {
            if length < MAX_TERM {
                word.push(c);
                length += 1;
            }
            continue;
        }
        if !word.is_empty() && !found(std::mem::take(&mut word)) {
            return;
        }
        length = 0;
        if alone && !found(c.to_string()) {
            return;
        }
    }
}

/// The terms of a task.
pub(crate) fn task_terms(title: &str, description: &str) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    for text in [title, description] {
        words(text, |word| {
            terms.insert(word);
            terms.len() < MAX_TERMS
        });
    }
    terms
}

/// What a query asks for: every word must occur; the last one may be the start of a word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query {
    pub words: Vec<String>,
    pub prefix: Option<String>,
}

/// One word of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Whole(String),
    /// The start of a word.
    Prefix(String),
}

impl Query {
    pub fn all(&self) -> impl Iterator<Item = Word> + '_ {
        let whole = self.words.iter().cloned().map(Word::Whole);
        whole.chain(self.prefix.iter().cloned().map(Word::Prefix))
    }
}

pub(crate) fn parse_query(text: &str) -> Query {
    let mut all = Vec::new();
    words(text, |word| {
        if !all.contains(&word) {
            all.push(word);
        }
        all.len() < MAX_QUERY_WORDS
    });
    // "report " with a space after it is a whole word; "rep" is still being typed.
    let prefix = if text.ends_with(|c: char| c.is_alphanumeric()) {
        all.pop()
    } else {
        None
    };
    Query { words: all, prefix }
}

/// The greatest text that starts with `prefix`, for a range over an index in code point order.
pub(crate) fn prefix_end(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// The folded name that unique constraints compare: without case, but with accents. At most 200 characters.
pub(crate) fn folded_name(name: &str) -> String {
    let folded = UniCase::unicode(name.trim().nfkc().collect::<String>()).to_folded_case();
    folded.nfkc().take(200).collect()
}

/// What sorting by title compares: the folded title's first 100 characters.
pub(crate) fn title_sort(title: &str) -> String {
    fold(title).chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn case_accents_and_punctuation_do_not_matter() {
        assert_eq!(
            task_terms("Café-Menü, 2nd ÉDITION!", "straße x_y"),
            set(&["cafe", "menu", "2nd", "edition", "strasse", "x", "y"])
        );
        assert_eq!(task_terms("İstanbul ﬁx", ""), set(&["istanbul", "fix"]));
    }

    #[test]
    fn case_folding_is_full_not_letter_by_letter() {
        for (one, other) in [
            ("Straße", "STRASSE"),
            ("STRAẞE", "strasse"),
            ("ΟΔΥΣΣΕΥΣ", "Οδυσσεύς"),
            ("ŉ", "ʼN"),
            ("ǰ", "J\u{30c}"),
            ("ΐ", "Ϊ́"),
            ("Ꭰ", "ꭰ"),
            ("և", "եւ"),
            ("ᾳ", "ΑΙ"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_eq!(folded_name(" Straße "), folded_name("STRASSE"));
        assert_eq!(folded_name("ΣΟΦΟΣ"), folded_name("σοφος"));
        assert_ne!(folded_name("resume"), folded_name("résumé"));
    }

    #[test]
    fn scripts_without_spaces_give_single_characters() {
        assert_eq!(task_terms("東京 tower", ""), set(&["東", "京", "tower"]));
    }

    #[test]
    fn the_number_and_length_of_terms_are_bounded() {
        let many: String = (0..2_000).map(|i| format!("word{i} ")).collect();
        let terms = task_terms("the title stays", &many);
        assert_eq!(terms.len(), MAX_TERMS);
        assert!(terms.contains("title"));
        let long = task_terms(&"é".repeat(200), "");
        assert_eq!(long.iter().next().map(|t| t.chars().count()), Some(MAX_TERM));
    }

    #[test]
    fn only_the_last_word_still_being_typed_is_a_prefix() {
        let query = parse_query("Fix the lo");
        assert_eq!((query.words, query.prefix), (vec!["fix".into(), "the".into()], Some("lo".into())));
        let query = parse_query("fix ");
        assert_eq!((query.words, query.prefix), (vec!["fix".into()], None));
        assert_eq!(parse_query(" ... "), Query::default());
    }

    proptest! {
        /// Whoever searches for a word of the title, or its beginning, finds the task.
        #[test]
        fn a_title_is_found_by_its_own_words(title in "\\PC{1,60}", cut in any::<prop::sample::Index>()) {
            let terms = task_terms(&title, "");
            let query = parse_query(&title);
            prop_assert!(query.words.iter().all(|word| terms.contains(word)));
            if let Some(prefix) = query.prefix {
                let chars: Vec<char> = prefix.chars().collect();
                let start: String = chars[..=cut.index(chars.len())].iter().collect();
                prop_assert!(terms.range(start.clone()..=prefix_end(&start)).next().is_some());
            }
        }

        #[test]
        fn terms_fit_their_columns(title in "\\PC{0,600}") {
            prop_assert!(task_terms(&title, "").iter().all(|t| !t.is_empty() && t.chars().count() <= MAX_TERM));
            prop_assert!(title_sort(&title).chars().count() <= 100);
            prop_assert!(folded_name(&title).chars().count() <= 200);
        }
    }
}
