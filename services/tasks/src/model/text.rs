//! Rules for texts that people write; every rule here is also said in the OpenAPI schema.

use kernel::FieldError;

/// A one-line text: 1 to `max` characters, no control characters, not blank. Gives the trimmed text.
pub(crate) fn line(value: &str, max: usize, pointer: &str, errors: &mut Vec<FieldError>) -> String {
    if value.chars().count() > max {
        errors.push(FieldError::new(pointer, "too_long", format!("must be at most {max} characters")));
    } else if value.chars().any(char::is_control) {
        errors.push(FieldError::new(pointer, "control_character", "must not contain control characters"));
    } else if value.trim().is_empty() {
        errors.push(FieldError::new(pointer, "blank", "must not be blank"));
    }
    value.trim().to_owned()
}

/// A Markdown text: at most `max` characters, no NUL (PostgreSQL cannot store it).
pub(crate) fn markdown(value: &str, max: usize, pointer: &str, errors: &mut Vec<FieldError>) {
    if value.chars().count() > max {
        errors.push(FieldError::new(pointer, "too_long", format!("must be at most {max} characters")));
    } else if value.contains('\0') {
        errors.push(FieldError::new(
            pointer,
            "control_character",
            "must not contain the character U+0000",
        ));
    }
}

/// `#rrggbb` in lower case.
pub(crate) fn color(value: &str, pointer: &str, errors: &mut Vec<FieldError>) -> String {
    let shaped = value.len() == 7 && value.starts_with('#') && value[1..].bytes().all(|b| b.is_ascii_hexdigit());
    if !shaped {
        errors.push(FieldError::new(pointer, "invalid_color", "must be a color such as #3366cc"));
    }
    value.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(check: impl FnOnce(&mut Vec<FieldError>)) -> Vec<String> {
        let mut errors = Vec::new();
        check(&mut errors);
        errors.into_iter().map(|e| e.code.into_owned()).collect()
    }

    #[test]
    fn lines_are_trimmed_bounded_and_free_of_controls() {
        let mut errors = Vec::new();
        assert_eq!(line("  ä b ", 6, "/x", &mut errors), "ä b");
        assert_eq!(codes(|e| drop(line("äääääöö", 6, "/x", e))), ["too_long"]);
        assert_eq!(codes(|e| drop(line("a\0", 6, "/x", e))), ["control_character"]);
        assert_eq!(codes(|e| drop(line(" \u{2003}", 6, "/x", e))), ["blank"]);
        assert!(errors.is_empty());
    }

    #[test]
    fn colors_have_one_form() {
        assert_eq!(color("#AbCdEf", "/c", &mut Vec::new()), "#abcdef");
        for bad in ["", "#fff", "abcdef0", "#12345g", "#ééé"] {
            assert_eq!(codes(|e| drop(color(bad, "/c", e))), ["invalid_color"], "{bad}");
        }
    }
}
