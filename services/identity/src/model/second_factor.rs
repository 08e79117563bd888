//! One-time passwords (RFC 6238) and recovery codes.

use data_encoding::BASE32_NOPAD;
use kernel::Timestamp;
use kernel::ids::UserId;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use totp_rs::{Algorithm, TOTP};

use super::token::{fold_code, random};

const DIGITS: usize = 6;
/// Seconds.
const STEP: i64 = 30;
/// Clocks may be one step apart, either way.
const SKEW: i64 = 1;
/// RFC 4226, 4 R6 recommends 160 bits.
pub(crate) const SEED_BYTES: usize = 20;
pub(crate) const RECOVERY_CODES: usize = 10;
/// 80 bits each.
const RECOVERY_CHARS: usize = 16;
pub(crate) const MAX_CODE_CHARS: usize = 40;

#[derive(Debug, Clone)]
pub(crate) struct SecondFactor {
    pub(crate) user_id: UserId,
    /// Sealed for [`SecondFactor::context`].
    pub(crate) sealed_seed: String,
    /// The last time step whose code was used; no code of it or of an earlier one is taken again.
    pub(crate) last_step: i64,
    pub(crate) created_at: Timestamp,
    /// `None`: being set up, and not asked for yet.
    pub(crate) confirmed_at: Option<Timestamp>,
    pub(crate) version: i64,
}

impl SecondFactor {
    pub(crate) fn context(user_id: UserId) -> String {
        format!("identity.totp/{user_id}")
    }
}

/// What a person types as the second factor.
#[derive(Debug)]
pub(crate) enum Code {
    OneTime(String),
    /// Folded to upper case, without separators.
    Recovery(SecretString),
}

impl Code {
    /// `None` for what can be neither.
    pub(crate) fn parse(text: &SecretString) -> Option<Self> {
        let folded = fold_code(text.expose_secret());
        match folded.len() {
            DIGITS if folded.bytes().all(|byte| byte.is_ascii_digit()) => Some(Self::OneTime(folded)),
            RECOVERY_CHARS => Some(Self::Recovery(SecretString::from(folded))),
            _ => None,
        }
    }
}

fn totp(seed: &[u8], issuer: &str, account: &str) -> Option<TOTP> {
    // A colon would end the issuer in the URI.
    let plain = |text: &str| text.replace(':', " ");
    TOTP::new(
        Algorithm::SHA1,
        DIGITS,
        0,
        STEP.unsigned_abs(),
        seed.to_vec(),
        Some(plain(issuer)),
        plain(account),
    )
    .ok()
}

/// For the QR code of authenticator apps.
pub(crate) fn provisioning_uri(seed: &[u8], issuer: &str, account: &str) -> Option<String> {
    totp(seed, issuer, account).map(|totp| totp.get_url())
}

/// The time step that the code belongs to, one before and after now counted in; every candidate is computed and compared in
/// constant time.
pub(crate) fn matching_step(seed: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let totp = totp(seed, "", "")?;
    let current = now.as_seconds().div_euclid(STEP);
    let mut found = None;
    for step in current - SKEW..=current + SKEW {
        let Ok(seconds) = u64::try_from(step * STEP) else { continue };
        if bool::from(totp.generate(seconds).as_bytes().ct_eq(code.as_bytes())) {
            found = Some(step);
        }
    }
    found
}

pub(crate) fn new_seed() -> [u8; SEED_BYTES] {
    let mut seed = [0; SEED_BYTES];
    seed.copy_from_slice(&random()[..SEED_BYTES]);
    seed
}

/// In groups that people can copy.
pub(crate) fn new_recovery_codes() -> Vec<SecretString> {
    (0..RECOVERY_CODES)
        .map(|_| {
            let text = BASE32_NOPAD.encode(&random()[..RECOVERY_CHARS * 5 / 8]);
            let groups: Vec<&str> = (0..4).filter_map(|i| text.get(i * 4..i * 4 + 4)).collect();
            SecretString::from(groups.join("-"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_18_codes_match_the_vectors_of_rfc_6238() {
        // Appendix B, SHA-1, the last six of eight digits.
        let seed = b"12345678901234567890";
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = Timestamp::from_seconds(seconds);
            assert_eq!(matching_step(seed, code, now), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn sec_18_one_step_of_difference_is_forgiven_and_no_more() {
        let seed = new_seed();
        let code = totp(&seed, "", "").unwrap().generate(3_000);
        let at = |seconds| matching_step(&seed, &code, Timestamp::from_seconds(seconds));
        for seconds in [2_970, 3_000, 3_029, 3_059] {
            assert_eq!(at(seconds), Some(100), "{seconds}");
        }
        assert_eq!((at(2_969), at(3_060)), (None, None));
        assert_eq!(matching_step(&seed, "12345", Timestamp::from_seconds(3_000)), None);
    }

    #[test]
    fn codes_can_be_typed_and_are_told_apart() {
        let parse = |text: &str| Code::parse(&text.into());
        assert!(matches!(parse(" 123 456"), Some(Code::OneTime(code)) if code == "123456"));
        let codes = new_recovery_codes();
        assert_eq!(codes.len(), 10);
        for code in &codes {
            let typed = code.expose_secret().to_lowercase().replace('-', " ");
            let (Some(Code::Recovery(folded)), Some(Code::Recovery(same))) = (parse(&typed), Code::parse(code)) else {
                panic!("{typed}");
            };
            assert_eq!(folded.expose_secret(), same.expose_secret());
            assert_eq!(folded.expose_secret().len() * 5, 80);
        }
        for wrong in ["", "12345", "12345a", "1234567", "abcd-efgh"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_uri_says_what_apps_need() {
        let uri = provisioning_uri(b"12345678901234567890", "guild:hall example", "ada@example.org").unwrap();
        assert!(uri.starts_with("otpauth://totp/"), "{uri}");
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{uri}");
        assert!(uri.contains("issuer=guild%20hall%20example"), "{uri}");
    }
}
