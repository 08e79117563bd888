//! Name, time zone and locale.

use kernel::FieldError;

pub(crate) const MAX_NAME_CHARS: usize = 200;
pub(crate) const DEFAULT_TIME_ZONE: &str = "UTC";
pub(crate) const DEFAULT_LOCALE: &str = "en";

/// Trimmed; 1 to 200 characters; no control characters (they would end up in mails and logs).
pub(crate) fn parse_name(text: &str, pointer: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let name = text.trim();
    let problem = if name.is_empty() {
        Some(("required", "must not be empty".to_owned()))
    } else if name.chars().count() > MAX_NAME_CHARS {
        Some(("too_long", format!("must be at most {MAX_NAME_CHARS} characters")))
    } else if name.chars().any(char::is_control) {
        Some(("control_character", "must not contain control characters".to_owned()))
    } else {
        None
    };
    match problem {
        Some((code, detail)) => {
            errors.push(FieldError::new(pointer, code, detail));
            None
        }
        None => Some(name.to_owned()),
    }
}

/// An IANA time zone name.
pub(crate) fn parse_time_zone(text: &str, pointer: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let known = text.len() <= 64 && kernel::time::is_time_zone(text);
    if !known {
        errors.push(FieldError::new(
            pointer,
            "unknown_time_zone",
            "must be an IANA time zone such as Europe/Berlin",
        ));
    }
    known.then(|| text.to_owned())
}

/// A language tag of the usual shape (BCP 47): language, then script, region and variants.
pub(crate) fn parse_locale(text: &str, pointer: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let valid = text.len() <= 35 && {
        let mut parts = text.split('-');
        let language = parts.next().unwrap_or_default();
        (2..=3).contains(&language.len())
            && language.bytes().all(|b| b.is_ascii_alphabetic())
            && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    if !valid {
        errors.push(FieldError::new(
            pointer,
            "invalid_locale",
            "must be a language tag such as en or pt-BR",
        ));
    }
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        let mut errors = Vec::new();
        assert_eq!(parse_name("  Ada ", "/name", &mut errors).as_deref(), Some("Ada"));
        assert!(errors.is_empty());
        assert_eq!(parse_name(" ", "/name", &mut errors), None);
        assert_eq!(parse_name(&"x".repeat(201), "/name", &mut errors), None);
        assert_eq!(parse_name("a\0b", "/name", &mut errors), None);
        let codes: Vec<_> = errors.iter().map(|e| e.code.as_ref()).collect();
        assert_eq!(codes, ["required", "too_long", "control_character"]);
    }

    #[test]
    fn zones_and_locales_are_checked() {
        let mut errors = Vec::new();
        assert_eq!(parse_time_zone("Europe/Berlin", "", &mut errors).as_deref(), Some("Europe/Berlin"));
        assert_eq!(parse_time_zone("UTC", "", &mut errors).as_deref(), Some("UTC"));
        for good in ["en", "pt-BR", "zh-Hant-TW", "gsw", "de-1996"] {
            assert!(parse_locale(good, "", &mut errors).is_some(), "{good}");
        }
        assert!(errors.is_empty());
        for bad in ["", "e", "english", "en-", "en_US", "en-x\0", "1n", "ä"] {
            assert!(parse_locale(bad, "", &mut errors).is_none(), "{bad}");
        }
        for bad in ["", "Mars/Olympus", "+02:00", "Europe/Berlin\0"] {
            assert!(parse_time_zone(bad, "", &mut errors).is_none(), "{bad}");
        }
    }
}
