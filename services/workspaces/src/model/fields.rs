//! Checks of what people send; collects every problem before it answers.

use kernel::roles::Role;
use kernel::{Error, FieldError, Result};

pub(crate) const MAX_NAME: usize = 200;
pub(crate) const MAX_DESCRIPTION: usize = 10_000;
pub(crate) const MAX_SLUG: usize = 63;
pub(crate) const MAX_EMAIL: usize = 254;
pub(crate) const MIN_EXPIRY_SECONDS: i64 = 300;
pub(crate) const MAX_EXPIRY_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Collects field errors; each check gives back the value to store.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    pub fn reject(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.push(FieldError::new(pointer, code, detail));
    }

    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// 422 with everything that was wrong.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid(self.0)) }
    }

    /// One line of text that shows something, without blanks around it.
    pub fn name(&mut self, pointer: &str, text: &str) -> String {
        let text = text.trim();
        if text.is_empty() {
            self.reject(pointer, "blank", "must not be blank");
        }
        self.length(pointer, text, MAX_NAME);
        if text.chars().any(char::is_control) {
            self.reject(pointer, "control_character", "must not contain control characters");
        }
        text.to_owned()
    }

    /// Several lines of text.
    pub fn description(&mut self, pointer: &str, text: &str) -> String {
        self.length(pointer, text, MAX_DESCRIPTION);
        if text
            .chars()
            .any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t'))
        {
            self.reject(pointer, "control_character", "must not contain control characters");
        }
        text.to_owned()
    }

    pub fn slug(&mut self, pointer: &str, text: &str) -> String {
        let fine = (1..=MAX_SLUG).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !fine {
            self.reject(pointer, "slug", "must be 1 to 63 lower-case letters, digits and inner hyphens");
        }
        text.to_owned()
    }

    pub fn project_key(&mut self, pointer: &str, text: &str) -> String {
        let fine = (2..=10).contains(&text.len())
            && text.as_bytes()[0].is_ascii_uppercase()
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !fine {
            self.reject(
                pointer,
                "project_key",
                "must be 2 to 10 upper-case letters and digits and start with a letter",
            );
        }
        text.to_owned()
    }

    pub fn time_zone(&mut self, pointer: &str, text: &str) -> String {
        if !kernel::time::is_time_zone(text) {
            self.reject(pointer, "time_zone", "must be an IANA time zone such as Europe/Berlin");
        }
        text.to_owned()
    }

    /// An invitation that names no role must not hand the workspace over by accident.
    pub fn default_role(&mut self, pointer: &str, role: Role) -> Role {
        if role == Role::Owner {
            self.reject(pointer, "owner", "must not be owner; invite owners by name");
        }
        role
    }

    /// The address in lower case.
    pub fn email(&mut self, pointer: &str, text: &str) -> String {
        if !is_email(text) {
            self.reject(pointer, "email", "must be an e-mail address such as ada@example.com");
        }
        text.to_lowercase()
    }

    pub fn expires_in(&mut self, pointer: &str, seconds: i64) -> std::time::Duration {
        if !(MIN_EXPIRY_SECONDS..=MAX_EXPIRY_SECONDS).contains(&seconds) {
            self.reject(
                pointer,
                "out_of_range",
                format!("must lie between {MIN_EXPIRY_SECONDS} and {MAX_EXPIRY_SECONDS} seconds"),
            );
        }
        std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    fn length(&mut self, pointer: &str, text: &str, most: usize) {
        if text.chars().count() > most {
            self.reject(pointer, "too_long", format!("must be at most {most} characters"));
        }
    }
}

/// RFC 5321 without quoted local parts, comments, literals and non-ASCII.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_EMAIL
        && (1..=64).contains(&local.len())
        && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
        && domain.contains('.')
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(check: impl FnOnce(&mut Fields) -> String) -> bool {
        let mut fields = Fields::default();
        check(&mut fields);
        fields.finish().is_ok()
    }

    #[test]
    fn addresses() {
        for good in ["ada@example.com", "a.b+c@sub.example.co", "A@EXAMPLE.com", "o'neil@example.org"] {
            assert!(accepts(|f| f.email("/email", good)), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a b@example.com",
            ".a@example.com",
            "a..b@example.com",
            "ada@-x.com",
            "a@b@",
            "a\n@example.com",
            &long,
        ] {
            assert!(!accepts(|f| f.email("/email", bad)), "{bad}");
        }
        assert_eq!(Fields::default().email("/email", "Ada@Example.COM"), "ada@example.com");
    }

    #[test]
    fn project_keys() {
        assert!(accepts(|f| f.project_key("/key", "AB")) && accepts(|f| f.project_key("/key", "A123456789")));
        for bad in ["", "A", "1A", "ab", "AB-", "A1234567890", "ÄB"] {
            assert!(!accepts(|f| f.project_key("/key", bad)), "{bad}");
        }
    }

    #[test]
    fn text_without_control_characters() {
        assert!(!accepts(|f| f.name("/name", "a\0b")) && !accepts(|f| f.name("/name", "a\nb")) && !accepts(|f| f.name("/name", "   ")));
        assert!(accepts(|f| f.name("/name", &"ß".repeat(200))) && !accepts(|f| f.name("/name", &"ß".repeat(201))));
        assert!(accepts(|f| f.description("/description", "a\r\n\tb")) && !accepts(|f| f.description("/description", "a\0b")));
    }

    #[test]
    fn all_problems_at_once() {
        let mut fields = Fields::default();
        fields.name("/name", "");
        fields.time_zone("/time_zone", "Mars/Base");
        let error = fields.finish().expect_err("two problems");
        assert_eq!(error.fields.len(), 2);
    }
}
