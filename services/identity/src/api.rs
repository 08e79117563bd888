//! identity for the other services.

use async_trait::async_trait;
use contracts::identity::{
    ApiKeyState, CheckApiKey, CheckSession, FindUserByEmail, GetUsers, Identity, Jwks, JwksRequest, SessionState, UserSummary,
};
use kernel::{CallContext, Error, Result};

use crate::model::email::EmailAddress;
use crate::model::user::User;
use crate::service::IdentityService;
use crate::store;

const MOST_USERS: usize = 500;

impl From<User> for UserSummary {
    fn from(user: User) -> Self {
        Self {
            active: user.is_active(),
            id: user.id,
            email: user.email.unwrap_or_default(),
            email_verified: user.email_verified,
            name: user.name,
            time_zone: user.time_zone,
            locale: user.locale,
        }
    }
}

#[async_trait]
impl Identity for IdentityService {
    async fn get_users(&self, _: &CallContext, request: GetUsers) -> Result<Vec<UserSummary>> {
        if request.ids.len() > MOST_USERS {
            return Err(Error::invalid_field("/ids", "too_many", "must be at most 500 ids"));
        }
        let users = store::users::list_by_ids(&self.db, &request.ids).await?;
        Ok(users.into_iter().map(UserSummary::from).collect())
    }

    async fn find_user_by_email(&self, _: &CallContext, request: FindUserByEmail) -> Result<Option<UserSummary>> {
        let Some(email) = EmailAddress::parse(&request.email) else {
            return Ok(None);
        };
        Ok(store::users::find_by_email(&self.db, email.as_str()).await?.map(UserSummary::from))
    }

    async fn check_session(&self, _: &CallContext, request: CheckSession) -> Result<SessionState> {
        self.session_state(&request).await
    }

    async fn check_api_key(&self, _: &CallContext, request: CheckApiKey) -> Result<Option<ApiKeyState>> {
        self.api_key_state(&request).await
    }

    async fn jwks(&self, _: &CallContext, _: JwksRequest) -> Result<Jwks> {
        self.key_document().await
    }
}
