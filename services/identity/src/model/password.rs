//! What makes a new password acceptable.
//!
//! Length and guessability only: no composition rules, no case folding, no truncation. A password is the
//! exact sequence of bytes of its UTF-8 text; it is not Unicode-normalised, so it must be typed the way it was set.

use std::collections::HashSet;

use kernel::FieldError;

use crate::config::{MAX_PASSWORD_CHARS, PasswordConfig};

/// Words every installation's passwords must not lean on.
const PRODUCT_WORDS: &[&str] = &["guildhall", "guild", "hall"];

#[derive(Debug, Clone)]
pub(crate) struct PasswordPolicy {
    minimum_chars: usize,
    minimum_score: u8,
    context_words: Vec<String>,
    blocked: HashSet<String>,
}

impl PasswordPolicy {
    /// `blocked` are the lines of the optional file.
    pub(crate) fn new(config: &PasswordConfig, blocked: impl IntoIterator<Item = String>) -> Self {
        Self {
            minimum_chars: config.minimum_chars(),
            minimum_score: config.minimum_score,
            context_words: PRODUCT_WORDS
                .iter()
                .map(|word| (*word).to_owned())
                .chain(config.context_words.iter().cloned())
                .collect(),
            blocked: blocked
                .into_iter()
                .map(|line| line.trim().to_lowercase())
                .filter(|line| !line.is_empty())
                .collect(),
        }
    }

    /// Adds a field error for each reason to refuse `password` of the person with these `words` (address, name).
    pub(crate) fn check(&self, password: &str, words: &[&str], pointer: &str, errors: &mut Vec<FieldError>) {
        let chars = password.chars().count();
        if chars < self.minimum_chars {
            let detail = format!("must be at least {} characters", self.minimum_chars);
            errors.push(FieldError::new(pointer, "too_short", detail));
            return;
        }
        if chars > MAX_PASSWORD_CHARS {
            let detail = format!("must be at most {MAX_PASSWORD_CHARS} characters");
            errors.push(FieldError::new(pointer, "too_long", detail));
            return;
        }
        if self.is_own_word(password, words) {
            errors.push(FieldError::new(
                pointer,
                "contains_known_word",
                "must not be your name, your address or the product's name",
            ));
        } else if self.blocked.contains(&password.to_lowercase()) {
            errors.push(FieldError::new(
                pointer,
                "breached",
                "is on a list of known passwords; choose another",
            ));
        } else if let Some(advice) = self.guessable(password, words) {
            errors.push(FieldError::new(pointer, "too_guessable", advice));
        }
    }

    /// The password is one of the words, apart from case, digits and punctuation around it.
    fn is_own_word(&self, password: &str, words: &[&str]) -> bool {
        let bare = |text: &str| -> String { text.to_lowercase().chars().filter(|c| c.is_alphabetic()).collect() };
        let core = bare(password);
        !core.is_empty()
            && password.chars().filter(|c| c.is_alphabetic()).count() * 2 >= password.chars().count()
            && self
                .context_words
                .iter()
                .map(String::as_str)
                .chain(words.iter().copied())
                .flat_map(|word| std::iter::once(word).chain(word.split(|c: char| !c.is_alphanumeric())))
                .map(bare)
                .any(|word| word.chars().count() >= 4 && (word == core || core == word.repeat(2)))
    }

    fn guessable(&self, password: &str, words: &[&str]) -> Option<String> {
        let inputs: Vec<&str> = self
            .context_words
            .iter()
            .map(String::as_str)
            .chain(
                words
                    .iter()
                    .flat_map(|word| std::iter::once(*word).chain(word.split(|c: char| !c.is_alphanumeric()))),
            )
            .filter(|word| word.len() > 2)
            .collect();
        let estimate = zxcvbn::zxcvbn(password, &inputs);
        if u8::from(estimate.score()) >= self.minimum_score {
            return None;
        }
        let warning = estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning);
        Some(warning.map_or_else(
            || "is too easy to guess; several unrelated words make a good password".to_owned(),
            |warning| format!("is too easy to guess: {warning}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(policy: &PasswordPolicy, password: &str) -> Vec<String> {
        let mut errors = Vec::new();
        policy.check(password, &["ada.lovelace@example.org", "Ada Lovelace"], "/password", &mut errors);
        assert!(errors.iter().all(|error| error.pointer == "/password"));
        errors.into_iter().map(|error| error.code.into_owned()).collect()
    }

    fn policy() -> PasswordPolicy {
        PasswordPolicy::new(&PasswordConfig::default(), ["Correct Horse Battery Staple".to_owned()])
    }

    #[test]
    fn sec_01_any_characters_and_long_passwords_are_accepted() {
        for good in [
            "purple monkey dishwasher",
            "пароль-на-русском-языке-2",
            "🦀🦞🐙🦑 four sea creatures",
            "no digits nor capitals here",
            "tab\tand\u{0}nul are fine too",
            &"seventeen wet herons ".repeat(4),
            &"x9$Kq ".repeat(42),
        ] {
            assert_eq!(codes(&policy(), good), Vec::<String>::new(), "{good:?}");
        }
        assert_eq!(codes(&policy(), &"long ".repeat(60)), ["too_long"]);
        assert_eq!(MAX_PASSWORD_CHARS * 4, 1_024, "never more than 1 KiB to hash");
    }

    #[test]
    fn sec_02_minimum_is_8_or_15_when_hardened_and_counts_characters() {
        assert_eq!(codes(&policy(), "kQ9$zpf"), ["too_short"]);
        assert_eq!(codes(&policy(), "kQ9$zpfv"), Vec::<String>::new());
        assert_eq!(codes(&policy(), "ééééééé"), ["too_short"], "14 bytes are 7 characters");
        let hardened = PasswordPolicy::new(
            &PasswordConfig {
                hardened: true,
                ..PasswordConfig::default()
            },
            [],
        );
        assert_eq!(codes(&hardened, "kQ9$zpfvLm2#tR"), ["too_short"]);
        assert_eq!(codes(&hardened, "kQ9$zpfvLm2#tRx"), Vec::<String>::new());
    }

    #[test]
    fn sec_03_common_breached_and_own_words_are_refused() {
        for common in [
            "password",
            "12345678",
            "qwertyuiop",
            "iloveyou",
            "Password1",
            "letmein123",
            "aaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(codes(&policy(), common), ["too_guessable"], "{common}");
        }
        assert_eq!(codes(&policy(), "correct horse battery staple"), ["breached"]);
        for own in [
            "Guildhall1",
            "guildhall2026",
            "Lovelace!",
            "adalovelace",
            "ada.lovelace@example.org",
            "lovelacelovelace",
        ] {
            assert_eq!(codes(&policy(), own), ["contains_known_word"], "{own}");
        }
    }
}
