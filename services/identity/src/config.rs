//! The `[identity]` section.

mod oidc;

use std::path::PathBuf;
use std::time::Duration;

use platform::config::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use oidc::{IdTokenAlgorithm, OidcConfig, OidcProvider};

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Anybody.
    Open,
    /// Who holds a pending invitation to a workspace, made for their address.
    Invite,
    /// Nobody; the administrator makes accounts with `guildhall user create`.
    Closed,
}

/// Whether an address must be proven before the account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailVerification {
    /// Registration signs in at once; a mail to prove the address is sent all the same.
    Optional,
    /// No sign-in before the link in the mail was used; answers do not tell known addresses from unknown ones.
    Required,
}

/// How access tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA on P-256 (RFC 7518), for verifiers that know no Ed25519.
    Es256,
}

/// Settings of accounts, passwords, sessions and throttling.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who may make an account: `open`, `invite` or `closed`.
    pub registration: Registration,
    /// `optional` or `required`.
    pub email_verification: EmailVerification,
    /// `aud` of access tokens.
    pub audience: String,
    /// Life of an access token in seconds; at most 900.
    pub access_token_seconds: u64,
    /// Life of a session in days, however much it is used.
    pub session_days: u64,
    /// A session not refreshed for so many days ends.
    pub session_idle_days: u64,
    /// For so many seconds after a refresh the used token yields the same successor again (a lost answer); at most 10.
    pub refresh_grace_seconds: u64,
    /// `eddsa` or `es256`. A change is carried out by a rotation of the keys and signs nobody out; give every replica the
    /// same value.
    pub signing_algorithm: SigningAlgorithm,
    /// A signing key is current for so many days.
    pub signing_key_days: u64,
    /// Life of the link that proves an address, in hours.
    pub verify_link_hours: u64,
    /// Life of the link that resets a password, in minutes.
    pub reset_link_minutes: u64,
    /// Origins besides that of `public_url` whose pages may use the refresh cookie, such as `https://app.example.org`.
    pub allowed_origins: Vec<String>,
    /// Rules for new passwords and how they are hashed.
    pub password: PasswordConfig,
    /// How failed sign-ins slow down further tries.
    pub throttle: ThrottleConfig,
    /// Keys for programs.
    pub api_keys: ApiKeyConfig,
    /// Sign-in by OpenID Connect.
    pub oidc: OidcConfig,
}

/// Keys for programs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKeyConfig {
    /// Life of a key in days when its maker names none.
    pub default_days: u32,
    /// Longest life of a key in days; at most 366.
    pub max_days: u32,
    /// The owner is warned by mail so many days before a key expires, but no more than half of its life.
    pub warn_days: u32,
}

impl Default for ApiKeyConfig {
    fn default() -> Self {
        Self {
            default_days: 90,
            max_days: 366,
            warn_days: 7,
        }
    }
}

/// Rules for new passwords and how they are hashed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordConfig {
    /// Demand 15 instead of 8 characters (NIST 800-63B-4 for passwords as the only factor).
    pub hardened: bool,
    /// Lowest accepted zxcvbn score, 0 to 4; known and guessable passwords score 0 or 1.
    pub minimum_score: u8,
    /// Own words (organisation, products) that make a password guessable.
    pub context_words: Vec<String>,
    /// File with one forbidden password per line, besides the built-in list.
    pub blocklist_file: Option<PathBuf>,
    /// Argon2id memory in KiB.
    pub argon2_memory_kib: u32,
    /// Argon2id passes.
    pub argon2_iterations: u32,
    /// Argon2id lanes.
    pub argon2_parallelism: u32,
    /// Mixed into passwords before hashing (HMAC-SHA256) and kept outside the database. Passwords set before it was given
    /// go on working; losing it loses every password set since.
    pub pepper: Secret,
}

/// How failed sign-ins slow down further tries.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThrottleConfig {
    /// Failures per account (and per account and address) before tries must wait.
    pub account_free_failures: u32,
    /// Longest wait per account in seconds while fewer than 100 tries failed in a row; then it is a day.
    pub account_max_delay_seconds: u64,
    /// Failures per client address (IPv6: per /64) before tries must wait.
    pub ip_free_failures: u32,
    /// Longest wait per client address in seconds.
    pub ip_max_delay_seconds: u64,
    /// Tries per minute that one process lets through to password checking, all accounts together.
    pub global_per_minute: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            registration: Registration::Open,
            email_verification: EmailVerification::Optional,
            audience: "guildhall".to_owned(),
            access_token_seconds: 900,
            session_days: 30,
            session_idle_days: 14,
            refresh_grace_seconds: 10,
            signing_algorithm: SigningAlgorithm::EdDsa,
            signing_key_days: 30,
            verify_link_hours: 48,
            reset_link_minutes: 60,
            allowed_origins: Vec::new(),
            password: PasswordConfig::default(),
            throttle: ThrottleConfig::default(),
            api_keys: ApiKeyConfig::default(),
            oidc: OidcConfig::default(),
        }
    }
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self {
            hardened: false,
            minimum_score: 2,
            context_words: Vec::new(),
            blocklist_file: None,
            argon2_memory_kib: 19_456,
            argon2_iterations: 2,
            argon2_parallelism: 1,
            pepper: Secret::default(),
        }
    }
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            account_free_failures: 5,
            account_max_delay_seconds: 900,
            ip_free_failures: 50,
            ip_max_delay_seconds: 60,
            global_per_minute: 1_200,
        }
    }
}

/// The longest password accepted, in characters. Four bytes each at most, so never more than 1 KiB to hash.
pub(crate) const MAX_PASSWORD_CHARS: usize = 256;

impl Config {
    /// Every problem of the section, as sentences.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, text: &str| {
            if !holds {
                problems.push(text.to_owned());
            }
        };
        demand(!self.audience.is_empty(), "identity.audience: must not be empty");
        demand(
            (60..=900).contains(&self.access_token_seconds),
            "identity.access_token_seconds: must be between 60 and 900",
        );
        demand(
            (1..=365).contains(&self.session_days),
            "identity.session_days: must be between 1 and 365",
        );
        demand(
            (1..=self.session_days).contains(&self.session_idle_days),
            "identity.session_idle_days: must be between 1 and identity.session_days",
        );
        demand(
            self.refresh_grace_seconds <= 10,
            "identity.refresh_grace_seconds: must be at most 10",
        );
        demand(
            (1..=365).contains(&self.signing_key_days),
            "identity.signing_key_days: must be between 1 and 365",
        );
        demand(
            (1..=168).contains(&self.verify_link_hours),
            "identity.verify_link_hours: must be between 1 and 168",
        );
        demand(
            (5..=1_440).contains(&self.reset_link_minutes),
            "identity.reset_link_minutes: must be between 5 and 1440",
        );
        for origin in &self.allowed_origins {
            let bare = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            demand(
                bare.is_some_and(|host| !host.is_empty() && !host.contains('/')),
                "identity.allowed_origins: must look like https://app.example.org, without a path",
            );
        }
        problems.extend(self.api_keys.validate());
        problems.extend(self.password.validate());
        problems.extend(self.throttle.validate());
        problems.extend(self.oidc.validate());
        problems
    }

    pub(crate) const fn access_ttl(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds)
    }
    pub(crate) const fn session_ttl(&self) -> Duration {
        Duration::from_secs(self.session_days * 86_400)
    }
    pub(crate) const fn session_idle(&self) -> Duration {
        Duration::from_secs(self.session_idle_days * 86_400)
    }
    pub(crate) const fn grace(&self) -> Duration {
        Duration::from_secs(self.refresh_grace_seconds)
    }
    pub(crate) const fn verification_required(&self) -> bool {
        matches!(self.email_verification, EmailVerification::Required)
    }
}

impl PasswordConfig {
    /// In characters.
    pub(crate) const fn minimum_chars(&self) -> usize {
        if self.hardened { 15 } else { 8 }
    }

    fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.minimum_score > 4 {
            problems.push("identity.password.minimum_score: must be between 0 and 4".to_owned());
        }
        let params = argon2::Params::new(self.argon2_memory_kib, self.argon2_iterations, self.argon2_parallelism, None);
        if let Err(error) = params {
            problems.push(format!("identity.password: argon2_*: {error}"));
        }
        if let Some(path) = &self.blocklist_file
            && let Err(error) = std::fs::File::open(path)
        {
            problems.push(format!("identity.password.blocklist_file: {}: {error}", path.display()));
        }
        problems
    }
}

impl ApiKeyConfig {
    fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=366).contains(&self.max_days) || !(1..=self.max_days).contains(&self.default_days) {
            problems.push("identity.api_keys.max_days must be between 1 and 366, default_days between 1 and max_days".to_owned());
        }
        if self.warn_days == 0 {
            problems.push("identity.api_keys.warn_days must be at least 1".to_owned());
        }
        problems
    }
}

impl ThrottleConfig {
    fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=50).contains(&self.account_free_failures) {
            problems.push("identity.throttle.account_free_failures: must be between 1 and 50".to_owned());
        }
        if !(1..=86_400).contains(&self.account_max_delay_seconds) || !(1..=86_400).contains(&self.ip_max_delay_seconds) {
            problems.push("identity.throttle: the *_max_delay_seconds must be between 1 and 86400".to_owned());
        }
        if self.ip_free_failures == 0 || self.global_per_minute == 0 {
            problems.push("identity.throttle: ip_free_failures and global_per_minute must be at least 1".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_every_problem_is_reported_at_once() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let mut bad = Config {
            access_token_seconds: 3_600,
            refresh_grace_seconds: 11,
            session_idle_days: 31,
            allowed_origins: vec!["https://app.example.org/".to_owned()],
            ..Config::default()
        };
        bad.password.argon2_memory_kib = 1;
        bad.throttle.account_free_failures = 0;
        assert_eq!(bad.validate().len(), 6, "{:?}", bad.validate());
    }
}
