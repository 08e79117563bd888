//! What can go wrong in identity, with stable codes.

use std::time::Duration;

use kernel::{Error, ErrorKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityError {
    /// Unknown address, wrong password, disabled, locked: one answer for all.
    #[error("The e-mail address or the password is wrong.")]
    InvalidCredentials,
    /// Only after the right password was given.
    #[error("Prove your e-mail address first: use the link in the mail we sent, or ask for a new one.")]
    EmailUnverified,
    #[error("Too many tries; wait before the next one.")]
    Throttled(Duration),
    #[error("The refresh token is not valid; sign in again.")]
    RefreshInvalid,
    #[error("No refresh token was given, neither in the body nor as a cookie.")]
    RefreshMissing,
    #[error("Registration is closed; ask the administrator for an account.")]
    RegistrationClosed,
    #[error("Registration needs a valid invitation for this address.")]
    InvitationRequired,
    #[error("An account with this e-mail address exists already.")]
    EmailTaken,
    #[error("The link is not valid: it was used, has expired or was replaced by a newer one.")]
    LinkInvalid,
    #[error("The set-up code is wrong.")]
    SetupCodeInvalid,
    #[error("The installation has an administrator already.")]
    SetupDone,
    #[error("Only an administrator of the installation may do this.")]
    AdminOnly,
    #[error("No such person.")]
    UserNotFound,
    #[error("No such session.")]
    SessionNotFound,
    #[error("The account was deleted.")]
    UserDeleted,
    #[error(
        "You are the only owner of workspaces in which others work; see workspaces. Make somebody else owner first, or say with sole_owned_workspaces what shall become of them."
    )]
    SoleOwner,
    #[error("There is a second factor already; turn it off first.")]
    SecondFactorOn,
    #[error("There is no second factor.")]
    SecondFactorOff,
    #[error("No second factor is being set up; begin first.")]
    SecondFactorNotBegun,
    #[error("The sign-in took too long, was finished, or saw too many wrong codes; start again.")]
    ChallengeInvalid,
    #[error("The code is wrong, or it was used already.")]
    CodeWrong,
    #[error("No such API key.")]
    ApiKeyNotFound,
    #[error("There is no such sign-in provider.")]
    ProviderNotFound,
    #[error("The sign-in provider does not answer as it must right now; try again shortly.")]
    ProviderUnavailable,
    /// Unknown, expired, finished, of another browser or of another provider: one answer for all.
    #[error("The sign-in took too long, was finished already, or was begun in another browser; start again.")]
    FlowInvalid,
    #[error("The sign-in provider refused; start again.")]
    ProviderRefused,
    /// Which check it failed stands in the log.
    #[error("The answer of the sign-in provider cannot be trusted; start again.")]
    ProviderAnswerInvalid,
    /// Says nothing of accounts: anybody may claim any address.
    #[error("The sign-in provider does not vouch for an e-mail address of yours. Sign in another way and link it in your profile.")]
    AddressNotVouchedFor,
    /// Only told to whom the address belongs.
    #[error("An account with your e-mail address exists. Sign in to it and link the provider in your profile.")]
    LinkFirst,
    #[error("Your account cannot be used; ask the administrator of the installation.")]
    AccountUnavailable,
    #[error("This account of the provider is linked to another person.")]
    LinkedElsewhere,
    #[error("You have linked as many accounts of providers as one can; unlink one first.")]
    TooManyExternalIdentities,
    #[error("It is your only way to sign in; set a password or link another one first.")]
    LastWayIn,
    #[error("No such linked account.")]
    ExternalIdentityNotFound,
    #[error("You signed in too long ago for this; sign in again.")]
    SignInNotRecent,
}

impl IdentityError {
    const fn kind(self) -> ErrorKind {
        match self {
            Self::InvalidCredentials
            | Self::RefreshInvalid
            | Self::RefreshMissing
            | Self::ChallengeInvalid
            | Self::CodeWrong
            | Self::FlowInvalid
            | Self::ProviderRefused
            | Self::ProviderAnswerInvalid => ErrorKind::Unauthenticated,
            Self::EmailUnverified
            | Self::RegistrationClosed
            | Self::InvitationRequired
            | Self::SetupCodeInvalid
            | Self::AdminOnly
            | Self::AddressNotVouchedFor
            | Self::AccountUnavailable
            | Self::SignInNotRecent => ErrorKind::Forbidden,
            Self::Throttled(_) => ErrorKind::RateLimited,
            Self::ProviderUnavailable => ErrorKind::Unavailable,
            Self::EmailTaken
            | Self::SetupDone
            | Self::UserDeleted
            | Self::SoleOwner
            | Self::SecondFactorOn
            | Self::SecondFactorOff
            | Self::SecondFactorNotBegun
            | Self::LinkFirst
            | Self::LinkedElsewhere
            | Self::TooManyExternalIdentities
            | Self::LastWayIn => ErrorKind::Conflict,
            Self::LinkInvalid => ErrorKind::Gone,
            Self::UserNotFound | Self::SessionNotFound | Self::ApiKeyNotFound | Self::ProviderNotFound | Self::ExternalIdentityNotFound => {
                ErrorKind::NotFound
            }
        }
    }

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::InvalidCredentials => "identity.credentials.invalid",
            Self::EmailUnverified => "identity.email.unverified",
            Self::Throttled(_) => "identity.sign_in.throttled",
            Self::RefreshInvalid => "identity.refresh.invalid",
            Self::RefreshMissing => "identity.refresh.missing",
            Self::RegistrationClosed => "identity.registration.closed",
            Self::InvitationRequired => "identity.registration.invitation_required",
            Self::EmailTaken => "identity.email.taken",
            Self::LinkInvalid => "identity.link.invalid",
            Self::SetupCodeInvalid => "identity.setup.code_invalid",
            Self::SetupDone => "identity.setup.done",
            Self::AdminOnly => "identity.admin.required",
            Self::UserNotFound => "identity.user.not_found",
            Self::SessionNotFound => "identity.session.not_found",
            Self::UserDeleted => "identity.user.deleted",
            Self::SoleOwner => "identity.user.sole_owner",
            Self::SecondFactorOn => "identity.second_factor.on",
            Self::SecondFactorOff => "identity.second_factor.off",
            Self::SecondFactorNotBegun => "identity.second_factor.not_begun",
            Self::ChallengeInvalid => "identity.second_factor.challenge_invalid",
            Self::CodeWrong => "identity.second_factor.code_wrong",
            Self::ApiKeyNotFound => "identity.api_key.not_found",
            Self::ProviderNotFound => "identity.oidc.provider_not_found",
            Self::ProviderUnavailable => "identity.oidc.provider_unavailable",
            Self::FlowInvalid => "identity.oidc.flow_invalid",
            Self::ProviderRefused => "identity.oidc.refused",
            Self::ProviderAnswerInvalid => "identity.oidc.answer_invalid",
            Self::AddressNotVouchedFor => "identity.oidc.email_unverified",
            Self::LinkFirst => "identity.oidc.link_first",
            Self::AccountUnavailable => "identity.oidc.account_unavailable",
            Self::LinkedElsewhere => "identity.oidc.linked_elsewhere",
            Self::TooManyExternalIdentities => "identity.oidc.too_many",
            Self::LastWayIn => "identity.oidc.last_way_in",
            Self::ExternalIdentityNotFound => "identity.oidc.not_found",
            Self::SignInNotRecent => "identity.sign_in.not_recent",
        }
    }
}

impl From<IdentityError> for Error {
    fn from(error: IdentityError) -> Self {
        let public = Self::new(error.kind(), error.code(), error.to_string());
        match error {
            IdentityError::Throttled(wait) => public.with_retry_after(wait),
            IdentityError::ProviderUnavailable => public.with_retry_after(Duration::from_secs(10)),
            _ => public,
        }
    }
}
