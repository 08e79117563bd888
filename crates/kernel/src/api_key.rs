//! The text of an API key: `ghl_<id>_<secret><checksum>`.
//!
//! The prefix lets people and secret scanners know it; letters and digits alone let a double click take all of it. The
//! checksum (CRC-32, hexadecimal) tells a mistyped or made-up key before any database is asked; it protects nothing.

use data_encoding::{BASE32_NOPAD, HEXLOWER};

use crate::ids::{ApiKeyId, EntityId, Uuid};

pub const PREFIX: &str = "ghl_";
const ID_CHARS: usize = 26;
const SECRET_CHARS: usize = 52;
const CHECKSUM_CHARS: usize = 8;
/// Every key is exactly as long.
pub const LENGTH: usize = PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS;

/// 256 bits that only the key's holder has.
pub type Secret = [u8; 32];

/// How the text of this key begins, and of no other: `ghl_<id>`. Not secret, so that a key found somewhere can be told.
pub fn beginning(id: ApiKeyId) -> String {
    format!("{PREFIX}{}", BASE32_NOPAD.encode(id.uuid().as_bytes()).to_lowercase())
}

pub fn format(id: ApiKeyId, secret: &Secret) -> String {
    let body = format!("{}_{}", beginning(id), BASE32_NOPAD.encode(secret).to_lowercase());
    let checksum = checksum(&body);
    body + &checksum
}

/// `None` for what was never made by [`format()`].
pub fn parse(text: &str) -> Option<(ApiKeyId, Secret)> {
    if text.len() != LENGTH || !text.is_ascii() {
        return None;
    }
    let (body, given) = text.split_at(LENGTH - CHECKSUM_CHARS);
    if checksum(body) != given {
        return None;
    }
    let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    let decode = |part: &str| BASE32_NOPAD.decode(part.to_uppercase().as_bytes()).ok();
    let id = ApiKeyId::from_uuid(Uuid::from_slice(&decode(id)?).ok()?);
    let secret = decode(secret)?.try_into().ok()?;
    // One key has one spelling.
    (format(id, &secret) == text).then_some((id, secret))
}

fn checksum(body: &str) -> String {
    HEXLOWER.encode(&crc32fast::hash(body.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sec_17_a_key_reads_back_and_any_other_letter_is_noticed(id: u128, secret: Secret, at in 0..LENGTH, letter in "[a-z2-7_]") {
            let id = ApiKeyId::from_uuid(Uuid::from_u128(id));
            let text = format(id, &secret);
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert!(text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
            prop_assert_eq!(parse(&text), Some((id, secret)));
            let mut other = text.clone();
            other.replace_range(at..=at, &letter);
            prop_assert_eq!(parse(&other).is_some(), other == text);
            prop_assert_eq!(parse(&text.to_uppercase()), None);
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,120}", ghl in "ghl_\\PC{80,95}") {
            prop_assert_eq!(parse(&text), None);
            prop_assert_eq!(parse(&ghl), None);
        }
    }
}
