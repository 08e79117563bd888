//! What a person has here, as files.

use async_trait::async_trait;
use kernel::{Error, Result};
use platform::Caller;
use platform::takeout::{Disclosure, Given, PART_ROWS, Part, Subject, Takeout};

use super::api_keys::ApiKeyView;
use super::external_identities::ExternalIdentityView;
use super::views::{SessionView, UserView};
use crate::service::IdentityService;

/// What becomes of each table.
pub const DISCLOSED: &[Disclosure] = &[
    Disclosure::new("users", Given::In("profile"), Given::Not(PEOPLE)),
    Disclosure::new("sessions", Given::In("sessions"), Given::Not(PEOPLE)),
    Disclosure::new("api_keys", Given::In("api-keys"), Given::Not(PEOPLE)),
    Disclosure::new("second_factors", Given::Not(SECRET), Given::Not(PEOPLE)),
    Disclosure::new("recovery_codes", Given::Not(SECRET), Given::Not(PEOPLE)),
    Disclosure::new("external_identities", Given::In("external-identities"), Given::Not(PEOPLE)),
    Disclosure::new("finished_flows", Given::Not(SECRET), Given::Not(PEOPLE)),
    Disclosure::new("refresh_tokens", Given::Not(SECRET), Given::Not(PEOPLE)),
    Disclosure::new("mail_tokens", Given::Not(SECRET), Given::Not(PEOPLE)),
    Disclosure::new("sign_in_challenges", Given::Not(SECRET), Given::Not(PEOPLE)),
    Disclosure::new("setup_codes", Given::Not(INSTALLATION), Given::Not(INSTALLATION)),
    Disclosure::new("signing_keys", Given::Not(INSTALLATION), Given::Not(INSTALLATION)),
    Disclosure::new(
        "throttles",
        Given::Not("counts guesses by hashed keys, which name nobody"),
        Given::Not(PEOPLE),
    ),
];

const PEOPLE: &str = "accounts are their people's own; who is a member stands in the members of the workspace";
const SECRET: &str = "hashes of secrets";
const INSTALLATION: &str = "belongs to the installation";

#[async_trait]
impl Takeout for IdentityService {
    fn files(&self, subject: Subject) -> &'static [&'static str] {
        match subject {
            Subject::Person => &["profile", "sessions", "api-keys", "external-identities"],
            Subject::Workspace(_) => &[],
        }
    }

    async fn part(&self, caller: &Caller, _: Subject, file: &str, cursor: Option<String>) -> Result<Part> {
        match file {
            "profile" => Part::whole([UserView::from(&self.get_me(caller).await?)]),
            "sessions" => {
                let current = caller.session_id()?;
                let page = self.list_sessions(caller, PART_ROWS, cursor.as_deref()).await?;
                Part::page(page.map(|session| SessionView::new(&session, current)))
            }
            "api-keys" => {
                let page = self.list_api_keys(caller, PART_ROWS, cursor.as_deref()).await?;
                Part::page(page.map(|key| ApiKeyView::from(&key)))
            }
            "external-identities" => {
                let identities = self.list_external_identities(caller).await?;
                Part::whole(identities.iter().map(|identity| ExternalIdentityView::new(identity, self)))
            }
            other => Err(Error::internal(format!("no file {other:?}"))),
        }
    }
}
