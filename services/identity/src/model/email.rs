//! E-mail addresses: checked by simple rules, compared in lower case.

use kernel::FieldError;

/// RFC 5321 path limit without the angle brackets.
pub(crate) const MAX_EMAIL_CHARS: usize = 254;
const MAX_LOCAL_CHARS: usize = 64;

/// A plausible address in the form used for comparison and sending: trimmed and lower-cased.
///
/// RFC 5321 lets local parts differ by case; no provider people use does, and two accounts that
/// differ only by case would be a trap. Quoted local parts, comments and address literals are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EmailAddress(String);

impl EmailAddress {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let address = text.trim().to_lowercase();
        if address.chars().count() > MAX_EMAIL_CHARS || address.len() > MAX_EMAIL_CHARS {
            return None;
        }
        let (local, domain) = address.rsplit_once('@')?;
        (local_ok(local) && domain_ok(domain)).then_some(Self(address))
    }

    pub(crate) fn parse_field(text: &str, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Self> {
        let parsed = Self::parse(text);
        if parsed.is_none() {
            errors.push(FieldError::new(
                pointer,
                "invalid_email",
                "must be an e-mail address such as ada@example.org",
            ));
        }
        parsed
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn local_ok(local: &str) -> bool {
    !local.is_empty()
        && local.chars().count() <= MAX_LOCAL_CHARS
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c))
}

fn domain_ok(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    labels.len() >= 2
        && domain.len() <= 253
        && labels.iter().all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
        && labels
            .last()
            .is_some_and(|top| top.len() >= 2 && !top.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::EmailAddress;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_trimmed_lower_cased_and_checked() {
        let parsed = EmailAddress::parse("  Ada.Lovelace+Tasks@Example.ORG ").unwrap();
        assert_eq!(parsed.as_str(), "ada.lovelace+tasks@example.org");
        assert!(EmailAddress::parse("jörg@müller.example").is_some());
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long = format!("a@{}.example.org", vec!["b".repeat(60); 4].join("."));
        for bad in [
            "",
            "@",
            "a@",
            "@b.org",
            "a@b",
            "a b@c.org",
            "a@b..org",
            ".a@b.org",
            "a.@b.org",
            "a..b@c.org",
            "a@-b.org",
            "a@b.1",
            "a@b.c",
            "a\0@b.org",
            "a@b.org\n",
            "a\"b@c.org",
            "a@b@c.org\u{0}",
            "a@[127.0.0.1]",
            &long_local,
            &long,
        ] {
            if bad == "a@b.org\n" {
                // Trimmed like any surrounding white space; nothing of it is left to smuggle a header line.
                assert_eq!(EmailAddress::parse(bad).unwrap().as_str(), "a@b.org");
                continue;
            }
            assert!(EmailAddress::parse(bad).is_none(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_to_store_and_to_put_in_a_header(text in ".{0,80}") {
            if let Some(email) = EmailAddress::parse(&text) {
                prop_assert!(!email.as_str().chars().any(|c| c.is_control() || c.is_whitespace() || "<>,;\"".contains(c)));
                prop_assert_eq!(EmailAddress::parse(email.as_str()), Some(email.clone()), "parsing is idempotent");
            }
        }

        #[test]
        fn plain_addresses_are_accepted(local in "[a-z0-9]{1,20}", domain in "[a-z][a-z0-9]{0,20}", top in "[a-z]{2,10}") {
            let text = format!("{local}@{domain}.{top}");
            prop_assert!(EmailAddress::parse(&text).is_some());
        }
    }
}
