//! Sessions: open, refresh, list, end, check.

use contracts::audit::{Action, Entry};
use contracts::identity::{CheckSession, SessionState};
use kernel::cursor::Page;
use kernel::ids::{EntityId, SessionId, UserId};
use kernel::{Actor, Error, ErrorKind, Result, Timestamp};
use platform::Caller;
use platform::db::{DbError, Guard, Unit};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::signing::AccessToken;
use super::{IdentityService, audit, without_idempotency};
use crate::error::IdentityError;
use crate::model::session::{RefreshVerdict, Session, judge_refresh};
use crate::model::token::{MAX_TOKEN_CHARS, REFRESH_PREFIX, new_token};
use crate::model::user::{User, UserStatus};
use crate::store;
use crate::store::sessions::Which;

/// Another call moved the session on first.
const MOVED: Guard = Guard {
    kind: ErrorKind::Conflict,
    code: "identity.session.moved",
    detail: "The session was refreshed by another call.",
};

/// A session just opened or refreshed, with its secrets.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn {
    pub(crate) user: User,
    pub(crate) session: Session,
    pub(crate) access: AccessToken,
    pub(crate) refresh: SecretString,
}

#[derive(Debug, Serialize, Deserialize)]
struct Position {
    created_at: Timestamp,
    id: SessionId,
}

impl IdentityService {
    /// Adds a new session to `unit`.
    pub(crate) fn open_session(&self, unit: &mut Unit, caller: &Caller, user_id: UserId) -> (Session, SecretString) {
        let now = caller.now;
        let expires_at = now.plus(self.config.session_ttl());
        let session = Session {
            id: SessionId::generate(&*self.toolkit.clock),
            user_id,
            created_at: now,
            last_used_at: now,
            expires_at,
            idle_expires_at: now.plus(self.config.session_idle()).min(expires_at),
            ended_at: None,
            generation: 1,
            rotated_at: now,
            ip: caller.client_ip.to_canonical().to_string(),
            user_agent: user_agent(caller),
        };
        let token = new_token(REFRESH_PREFIX);
        store::sessions::insert(unit, &session, &self.keyring.fingerprint(&token));
        unit.record(
            Entry::of_account(user_id, Action::SignedIn)
                .with("session_id", session.id)
                .by(Actor::User {
                    user_id,
                    session_id: session.id,
                }),
        );
        (session, token)
    }

    pub(crate) async fn finish_sign_in(&self, user: User, session: Session, refresh: SecretString, now: Timestamp) -> Result<SignedIn> {
        let access = self.issue_access_token(&session, now).await?;
        Ok(SignedIn {
            user,
            session,
            access,
            refresh,
        })
    }

    /// Trades a refresh token for its successor (RFC 9700, section 4.14.2).
    pub(crate) async fn refresh(&self, caller: &Caller, token: &SecretString) -> Result<SignedIn> {
        let caller = without_idempotency(caller);
        let invalid = || Error::from(IdentityError::RefreshInvalid);
        // Each lost race means that another call advanced the session, so the next look finds a verdict.
        for _ in 0..8 {
            let Some(presented) = self.find_presented(token).await? else {
                audit(&caller, "refresh", None, "unknown token");
                return Err(invalid());
            };
            let user_id = presented.session.user_id;
            let user = store::users::find(&self.db, user_id)
                .await?
                .filter(User::is_active)
                .ok_or_else(invalid)?;
            // The session's own time never goes back, whichever clock it was written by. The access token has the time of this
            // one: with that of a clock that was ahead it would be refused until it has come.
            let now = caller.now.max(presented.session.rotated_at);
            match judge_refresh(&presented.session, presented.generation, now, self.config.grace()) {
                RefreshVerdict::Dead => {
                    audit(&caller, "refresh", Some(user_id), "session is over");
                    return Err(invalid());
                }
                RefreshVerdict::Replay => {
                    self.end_family(&caller, &presented.session).await?;
                    return Err(invalid());
                }
                RefreshVerdict::Repeat => {
                    let successor = self.keyring.refresh_successor(token);
                    return self.finish_sign_in(user, presented.session, successor, caller.now).await;
                }
                RefreshVerdict::Rotate => match self.rotate(&caller, presented.session, token, now).await {
                    Ok((session, successor)) => return self.finish_sign_in(user, session, successor, caller.now).await,
                    Err(DbError::Guard(guard)) if guard == MOVED => {}
                    Err(error) if error.is_unique() => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
        Err(Error::unavailable(std::time::Duration::from_secs(1)))
    }

    async fn find_presented(&self, token: &SecretString) -> Result<Option<store::sessions::Presented>> {
        use secrecy::ExposeSecret;
        if token.expose_secret().len() > MAX_TOKEN_CHARS {
            return Ok(None);
        }
        Ok(store::sessions::find_by_token(&self.db, &self.keyring.fingerprint(token)).await?)
    }

    async fn rotate(
        &self,
        caller: &Caller,
        session: Session,
        token: &SecretString,
        now: Timestamp,
    ) -> Result<(Session, SecretString), DbError> {
        let successor = self.keyring.refresh_successor(token);
        let next = Session {
            generation: session.generation + 1,
            rotated_at: now,
            last_used_at: now,
            idle_expires_at: now.plus(self.config.session_idle()).min(session.expires_at),
            ip: caller.client_ip.to_canonical().to_string(),
            user_agent: user_agent(caller),
            ..session
        };
        let mut unit = Unit::new(caller);
        store::sessions::rotate(&mut unit, &next, session.generation, &self.keyring.fingerprint(&successor), MOVED);
        self.db.apply(unit).await?;
        Ok((next, successor))
    }

    /// Somebody holds a copy of a used token. Nobody can tell thief from owner, so the whole family goes.
    async fn end_family(&self, caller: &Caller, session: &Session) -> Result<()> {
        audit(caller, "refresh", Some(session.user_id), "replayed token, session ended");
        let mut unit = Unit::new(caller);
        self.end_sessions(&mut unit, session.user_id, Which::One(session.id), "refresh_replay", caller.now)
            .await?;
        self.db.apply(unit).await?;
        self.announce_sessions(session.user_id);
        Ok(())
    }

    /// Ends the caller's own session.
    pub(crate) async fn sign_out(&self, caller: &Caller) -> Result<()> {
        let (user_id, session_id) = (caller.user_id()?, caller.session_id()?);
        self.end_and_announce(caller, user_id, Which::One(session_id), "sign_out").await
    }

    /// Ends the session a refresh token belongs to. An unknown token has nothing to end.
    pub(crate) async fn sign_out_by_token(&self, caller: &Caller, token: &SecretString) -> Result<()> {
        if let Some(presented) = self.find_presented(token).await?
            && presented.session.ended_at.is_none()
        {
            let session = presented.session;
            self.end_and_announce(caller, session.user_id, Which::One(session.id), "sign_out")
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn sign_out_all(&self, caller: &Caller) -> Result<()> {
        self.end_and_announce(caller, caller.user_id()?, Which::All, "sign_out_all").await
    }

    pub(crate) async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<()> {
        let user_id = caller.user_id()?;
        let session = store::sessions::find(&self.db, user_id, id).await?;
        if !session.is_some_and(|session| session.is_live(caller.now)) {
            return Err(IdentityError::SessionNotFound.into());
        }
        self.end_and_announce(caller, user_id, Which::One(id), "ended_by_user").await
    }

    pub(crate) async fn end_and_announce(&self, caller: &Caller, user_id: UserId, which: Which, reason: &'static str) -> Result<()> {
        let mut unit = Unit::new(&without_idempotency(caller));
        self.end_sessions(&mut unit, user_id, which, reason, caller.now).await?;
        self.db.apply(unit).await?;
        self.announce_sessions(user_id);
        audit(caller, reason, Some(user_id), "ok");
        Ok(())
    }

    /// The caller's live sessions, newest first.
    pub(crate) async fn list_sessions(&self, caller: &Caller, limit: u32, cursor: Option<&str>) -> Result<Page<Session>> {
        let user_id = caller.user_id()?;
        let binding = format!("sessions|-created_at|{user_id}");
        let after: Option<Position> = self.toolkit.cursors.start(cursor, &binding)?;
        let after = after.map(|position| (position.created_at, position.id));
        let sessions = store::sessions::list(&self.db, user_id, caller.now, u64::from(limit) + 1, after).await?;
        self.toolkit.cursors.page(sessions, limit, &binding, |session| Position {
            created_at: session.created_at,
            id: session.id,
        })
    }

    /// Asked for every request (behind a cache of a few seconds).
    pub(crate) async fn session_state(&self, request: &CheckSession) -> Result<SessionState> {
        let standing = store::sessions::find_standing(&self.db, request.session_id).await?;
        let live = standing.filter(|standing| {
            standing.session.user_id == request.user_id && standing.status == UserStatus::Active && standing.session.is_live(self.now())
        });
        Ok(SessionState {
            active: live.is_some(),
            instance_admin: live.is_some_and(|standing| standing.instance_admin),
        })
    }
}

/// What the device says of itself, bounded and fit for every database.
fn user_agent(caller: &Caller) -> String {
    let text = caller.user_agent.as_deref().unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
