//! Argon2id behind a bulkhead of its own: never more at once than there are cores, and a queue that ends.

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use data_encoding::BASE64_NOPAD;
use kernel::{Error, Result};
use platform::bulkhead::Bulkhead;
use platform::config::Secret;
use secrecy::{ExposeSecret, SecretString};

use crate::config::PasswordConfig;
use crate::model::token::{hmac_sha256, sha256};

/// Marks a hash whose password was mixed with the pepper first.
const PEPPERED: &str = "hmac-sha256:";

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) matches: bool,
    /// Made with other parameters than today's: hash again while the password is at hand.
    pub(crate) outdated: bool,
}

pub(crate) struct Hasher {
    recipe: Recipe,
    bulkhead: Bulkhead,
    /// Compared with when there is no such account, so that the answer takes as long.
    dummy: OnceLock<String>,
}

#[derive(Clone)]
struct Recipe {
    params: Params,
    pepper: Option<Secret>,
}

impl Hasher {
    pub(crate) fn new(config: &PasswordConfig) -> Self {
        // `Config::validate` has refused parameters that Argon2 refuses.
        let params = Params::new(config.argon2_memory_kib, config.argon2_iterations, config.argon2_parallelism, None);
        Self {
            recipe: Recipe {
                params: params.unwrap_or_default(),
                pepper: Some(config.pepper.clone()).filter(|pepper| !pepper.is_empty()),
            },
            bulkhead: Bulkhead::per_core("password_hashing"),
            dummy: OnceLock::new(),
        }
    }

    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String> {
        let (recipe, password) = (self.recipe.clone(), password.clone());
        self.bulkhead.run(move || recipe.hash(&password)).await?
    }

    /// Always does one full Argon2 computation, whether there is a `stored` hash or not.
    pub(crate) async fn verify(&self, stored: Option<&str>, password: &SecretString) -> Result<Verified> {
        let known = stored.is_some();
        let stored = match stored {
            Some(stored) => stored.to_owned(),
            None => self.dummy().await?,
        };
        let (recipe, password) = (self.recipe.clone(), password.clone());
        let verified = self.bulkhead.run(move || recipe.verify(&stored, &password)).await?;
        Ok(Verified {
            matches: known && verified.matches,
            ..verified
        })
    }

    async fn dummy(&self) -> Result<String> {
        if let Some(dummy) = self.dummy.get() {
            return Ok(dummy.clone());
        }
        let nobody = SecretString::from(data_encoding::HEXLOWER.encode(&crate::model::token::random()));
        let made = self.hash(&nobody).await?;
        Ok(self.dummy.get_or_init(|| made).clone())
    }
}

impl Recipe {
    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    fn mix(&self, password: &SecretString, peppered: bool) -> Vec<u8> {
        let bytes = password.expose_secret().as_bytes();
        match &self.pepper {
            Some(pepper) if peppered => {
                let key = sha256(pepper.expose().as_bytes());
                BASE64_NOPAD.encode(&hmac_sha256(&key, &[bytes])).into_bytes()
            }
            _ => bytes.to_vec(),
        }
    }

    fn hash(&self, password: &SecretString) -> Result<String> {
        let peppered = self.pepper.is_some();
        let phc = self
            .argon2()
            .hash_password(&self.mix(password, peppered))
            .map_err(|error| Error::internal(format!("argon2: {error}")))?;
        Ok(format!("{}{phc}", if peppered { PEPPERED } else { "" }))
    }

    fn verify(&self, stored: &str, password: &SecretString) -> Verified {
        let (phc, peppered) = stored.strip_prefix(PEPPERED).map_or((stored, false), |phc| (phc, true));
        let Ok(hash) = PasswordHash::new(phc) else {
            return Verified {
                matches: false,
                outdated: true,
            };
        };
        let matches = self.argon2().verify_password(&self.mix(password, peppered), &hash).is_ok();
        let weaker = Params::try_from(&hash).map_or(true, |made_with| {
            made_with.m_cost() < self.params.m_cost()
                || made_with.t_cost() < self.params.t_cost()
                || made_with.p_cost() < self.params.p_cost()
        });
        Verified {
            matches,
            outdated: weaker || peppered != self.pepper.is_some() || hash.algorithm.as_str() != "argon2id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> PasswordConfig {
        PasswordConfig {
            argon2_memory_kib: 64,
            argon2_iterations: 1,
            ..PasswordConfig::default()
        }
    }

    #[test]
    fn sec_04_the_default_is_argon2id_with_19_mib_and_two_passes() {
        let hasher = Hasher::new(&PasswordConfig::default());
        let phc = hasher.recipe.hash(&"x".into()).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    }

    #[tokio::test]
    async fn sec_04_passwords_verify_and_weaker_hashes_are_noticed() {
        let weak = Hasher::new(&cheap());
        let stored = weak.hash(&"right horse".into()).await.unwrap();
        let check = |hasher: &Hasher, text: &str| {
            let verified = hasher.recipe.verify(&stored, &text.into());
            (verified.matches, verified.outdated)
        };
        assert_eq!(check(&weak, "right horse"), (true, false));
        assert_eq!(check(&weak, "Right horse"), (false, false));
        let strong = Hasher::new(&PasswordConfig {
            argon2_memory_kib: 128,
            ..cheap()
        });
        assert_eq!(check(&strong, "right horse"), (true, true));
        let peppered = Hasher::new(&PasswordConfig {
            pepper: Secret::new("salt and"),
            ..cheap()
        });
        assert_eq!(
            check(&peppered, "right horse"),
            (true, true),
            "a pepper given later does not shut people out"
        );
        let mixed = peppered.hash(&"right horse".into()).await.unwrap();
        assert!(peppered.recipe.verify(&mixed, &"right horse".into()).matches);
        assert!(
            !weak.recipe.verify(&mixed, &"right horse".into()).matches,
            "worthless without the pepper"
        );
        assert!(!weak.verify(None, &"right horse".into()).await.unwrap().matches);
    }

    #[test]
    fn sec_01_no_truncation() {
        let hasher = Hasher::new(&cheap());
        let long = "a".repeat(255);
        let stored = hasher.recipe.hash(&format!("{long}b").into()).unwrap();
        assert!(!hasher.recipe.verify(&stored, &format!("{long}c").into()).matches);
    }
}
