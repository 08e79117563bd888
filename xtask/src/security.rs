//! The security checklist with the tests that prove each line, found by their names (`sec_NN_..`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::files_below;

/// Number, what must hold, and the requirements of OWASP ASVS 5.0 or the RFC behind it. Numbers are never reused.
const LINES: &[(u8, &str, &str)] = &[
    (
        1,
        "Any characters in a password, at least 64 of them; no truncation, case folding, composition or expiry rules; at most 1 KiB",
        "ASVS 6.2.5, 6.2.8-6.2.10",
    ),
    (
        2,
        "A password has 8 characters or more; the hardened setting demands 15",
        "ASVS 6.2.1, NIST 800-63B-4",
    ),
    (
        3,
        "Common passwords and words of the product or the person are refused",
        "ASVS 6.2.4, 6.2.11",
    ),
    (
        4,
        "Argon2id behind a semaphore, parameters in the hash, rehashed at sign-in when they rise",
        "OWASP Password Storage",
    ),
    (
        5,
        "Changing a password needs the current one, ends other sessions and is announced by mail",
        "ASVS 6.2.3, 6.3.7, 7.4.3",
    ),
    (
        6,
        "Sign-in, registration, reset and invitation answer alike in status, body and time for known and unknown addresses",
        "ASVS 6.3.8",
    ),
    (
        7,
        "Guessing is slowed by account, by address and globally; nobody can be locked out for good; the count survives a rolled-back unit",
        "ASVS 6.1.1, 6.3.1",
    ),
    (
        8,
        "The client's address comes from a proxy header only when a trusted proxy sent it",
        "ASVS 4.1.3",
    ),
    (
        9,
        "Access tokens live 15 minutes at most, are EdDSA or ES256, and the algorithm is pinned per key: `none`, HS256 and keys named by the token are refused",
        "ASVS 9.1.1-9.1.3, RFC 8725",
    ),
    (
        10,
        "Type, issuer, audience and times of a token are checked exactly; refresh, invitation and reset tokens are never access tokens",
        "ASVS 9.2.1-9.2.4",
    ),
    (
        11,
        "Signing keys rotate without signing anybody out; the key set shows previous, current and next",
        "RFC 7517",
    ),
    (
        12,
        "Tokens carry no roles: a removed or demoted member is stopped at once",
        "ASVS 8.3.2",
    ),
    (
        13,
        "Refresh tokens are opaque, hashed and used once; a replay ends the whole family, and a lost answer can be fetched again within the grace time",
        "ASVS 10.4.5, RFC 9700",
    ),
    (
        14,
        "Signing out, locking, deleting and resetting end access within five seconds; people list and end their sessions",
        "ASVS 7.4.1, 7.4.2, 7.5.2",
    ),
    (
        15,
        "Browsers hold the refresh token in a `__Host-` cookie (HttpOnly, Secure, SameSite=Strict), and its use checks the origin",
        "ASVS 3.3, 3.5",
    ),
    (
        16,
        "Invitation, reset and verification tokens are random, hashed at rest, used once, short-lived and bound to their address",
        "ASVS 6.4",
    ),
    (
        17,
        "API keys have a prefix and a checksum, are shown once, hashed at rest, narrowed by scopes within their owner's rights, expire, stop at once, and come in the header alone",
        "ASVS 6.5, 8.3",
    ),
    (
        18,
        "A one-time code works once and one step off at most, its seed is sealed and recovery codes are hashed; the second factor is asked for on every path, and turning it on ends other sessions",
        "ASVS 6.4.3, 6.5.1-6.5.5",
    ),
    (
        20,
        "Sign-in at a provider: code with PKCE S256, exact redirect URIs, state, nonce and `iss`; every claim and the algorithm of the ID token checked; good once, in the browser that began it; people are known by issuer and subject, and joined by address only where both sides have proven it",
        "OpenID Connect Core 3.1, RFC 9207, RFC 9700, ASVS 10.5",
    ),
    (
        21,
        "Denied by default in the service layer; ids in bodies are checked like ids in paths; foreign objects answer 404",
        "ASVS 8.1.1-8.3.1",
    ),
    (
        22,
        "The last owner stays; nobody grants above their own role; a removed member's notifications and streams stop",
        "ASVS 8.2",
    ),
    (
        23,
        "One table of roles and permissions, from which code, documentation and tests come",
        "ASVS 8.1",
    ),
    (
        24,
        "Security events are logged with who, when and where; no log holds a secret; a 5xx says nothing",
        "ASVS 16.2, 16.3, 16.5.1",
    ),
    (25, "Security headers on every answer", "ASVS 3.4"),
    (
        26,
        "No default account: a one-time code on the console makes the first administrator",
        "ASVS 6.3.2",
    ),
    (27, "Event streams check the origin and are limited", "ASVS 4.4.2"),
    (
        28,
        "A URL that a user names never leads inside: every address of its host is checked, at each call, and the connection goes to a checked one",
        "ASVS 1.3.6, OWASP SSRF Prevention",
    ),
    (
        29,
        "Secrets that must be read again are sealed at rest, bound to their place, and shown once",
        "ASVS 13.3.1, 14.2.4",
    ),
    (
        31,
        "No cell of an exported table is a formula for a spreadsheet, and every text comes back as it was",
        "ASVS 1.2.10, CWE-1236",
    ),
];

pub const OUTPUT: &str = "docs/security/checklist.md";

pub fn page(root: &Path) -> Result<(PathBuf, String), String> {
    let mut tests: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for room in ["crates", "services"] {
        for path in files_below(&root.join(room), "rs") {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            for (number, test) in tests_in(&text) {
                tests.entry(number).or_default().push(format!("[`{test}`](../../{name})"));
            }
        }
    }
    Ok((PathBuf::from(OUTPUT), render(&tests)))
}

fn render(tests: &BTreeMap<u8, Vec<String>>) -> String {
    let mut text = String::from(
        "# Security checklist\n\nGenerated by `cargo xtask docs` from the names of the tests; do not edit. A test named `sec_NN_..` proves line NN.\n\n\
         | | What holds | After | Tests |\n|---|---|---|---|\n",
    );
    for (number, line, source) in LINES {
        let proofs = tests
            .get(number)
            .map_or_else(|| "**none yet**".to_owned(), |tests| tests.join(", "));
        let _ = writeln!(text, "| {number} | {line} | {source} | {proofs} |");
    }
    text.push_str("\nLine 19 (passkeys) comes with that feature.\n");
    text
}

/// Lines that say they hold and have no test.
pub fn unproved(page: &str) -> Vec<String> {
    page.lines()
        .filter(|line| line.contains("**none yet**"))
        .map(|line| line.split('|').nth(1).unwrap_or_default().trim().to_owned())
        .collect()
}

fn tests_in(text: &str) -> Vec<(u8, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("fn sec_") {
        let name: String = text[at + 3..]
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        if let Some(number) = name.split('_').nth(1).and_then(|digits| digits.parse().ok()) {
            found.push((number, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_by_name_and_missing_ones_named() {
        let found = tests_in("#[test]\nfn sec_09_alg_none_is_refused() {}\nasync fn sec_13_fifty_parallel_refreshes() {}\nfn section() {}");
        assert_eq!(
            found,
            [
                (9, "sec_09_alg_none_is_refused".to_owned()),
                (13, "sec_13_fifty_parallel_refreshes".to_owned())
            ]
        );
        let page = render(&BTreeMap::from([(9, vec!["x".to_owned()])]));
        assert!(unproved(&page).contains(&"13".to_owned()) && !unproved(&page).contains(&"9".to_owned()));
    }

    #[test]
    fn numbers_are_unique() {
        assert!(LINES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
