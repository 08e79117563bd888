//! The `[sentry]` section.

use platform::config::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// Reports of failures.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SentryConfig {
    /// Where reports go: the DSN of a project, `https://<key>@<host>/<project>`. Absent: no reports.
    pub dsn: Option<Secret>,
    /// Tells installations of one project apart.
    pub environment: String,
}

impl Default for SentryConfig {
    fn default() -> Self {
        Self {
            dsn: None,
            environment: "production".into(),
        }
    }
}

impl SentryConfig {
    /// Everything that is wrong with the section, each as one sentence.
    pub fn validate(&self) -> Vec<String> {
        let wrong = self.dsn.as_ref().is_some_and(|text| Dsn::parse(text.expose()).is_none());
        let wrong = wrong.then(|| "sentry.dsn: is no DSN such as https://key@sentry.example.com/1".to_owned());
        wrong.into_iter().collect()
    }
}

/// <https://develop.sentry.dev/sdk/foundations/transport/authentication/>
#[derive(Debug)]
pub(super) struct Dsn {
    /// Where envelopes go.
    pub url: Url,
    /// The public key.
    pub key: String,
}

impl Dsn {
    pub fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text).ok()?;
        let known = matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none();
        let key = url.username().to_owned();
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric());
        let (before, project) = url.path().rsplit_once('/')?;
        let numbered = !project.is_empty() && project.bytes().all(|b| b.is_ascii_digit());
        if !(known && plain && numbered) {
            return None;
        }
        let path = format!("{before}/api/{project}/envelope/");
        url.set_path(&path);
        url.set_username("").ok()?;
        // Old DSNs have a secret key as well; it is not needed.
        url.set_password(None).ok()?;
        Some(Self { url, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_names_a_project_and_a_key() {
        let dsn = Dsn::parse("https://abc123:old@sentry.example.com:9000/under/42").expect("a DSN");
        assert_eq!(dsn.url.as_str(), "https://sentry.example.com:9000/under/api/42/envelope/");
        assert_eq!(dsn.key, "abc123");
        assert!(Dsn::parse("http://k@127.0.0.1/1").is_some());
        for wrong in [
            "",
            "k@h/1",
            "https://h/1",
            "https://k@h/",
            "https://k@h/x",
            "ftp://k@h/1",
            "https://k@h/1?a",
            "https://k%0a@h/1",
        ] {
            assert!(Dsn::parse(wrong).is_none(), "{wrong}");
        }
    }
}
