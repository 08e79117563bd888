//! The life of a session and of its refresh tokens.

use std::time::Duration;

use kernel::Timestamp;
use kernel::ids::{SessionId, UserId};

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Timestamp,
    /// However much it is used.
    pub(crate) expires_at: Timestamp,
    /// Unless it is refreshed before.
    pub(crate) idle_expires_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    /// Number of the refresh token that is valid now; the first is 1.
    pub(crate) generation: i64,
    /// When the current generation was made.
    pub(crate) rotated_at: Timestamp,
    pub(crate) ip: String,
    pub(crate) user_agent: String,
}

impl Session {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at && now < self.idle_expires_at
    }
}

/// What happens to a refresh token that was found in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshVerdict {
    /// It is the current one: make its successor.
    Rotate,
    /// It was replaced a moment ago and its successor was not used yet: the answer got lost, or two calls ran at once.
    /// Give the same successor again.
    Repeat,
    /// Used twice: somebody else holds a copy. End the session.
    Replay,
    /// The session is over.
    Dead,
}

/// Decides about the token of generation `presented` (RFC 9700, section 4.14.2, with a grace window).
pub(crate) fn judge_refresh(session: &Session, presented: i64, now: Timestamp, grace: Duration) -> RefreshVerdict {
    if !session.is_live(now) {
        RefreshVerdict::Dead
    } else if presented == session.generation {
        RefreshVerdict::Rotate
    } else if presented + 1 == session.generation && now.since(session.rotated_at) <= grace {
        RefreshVerdict::Repeat
    } else {
        RefreshVerdict::Replay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ids::Uuid;

    fn session(generation: i64) -> Session {
        Session {
            id: SessionId(Uuid::nil()),
            user_id: UserId(Uuid::nil()),
            created_at: Timestamp::from_seconds(0),
            last_used_at: Timestamp::from_seconds(100),
            expires_at: Timestamp::from_seconds(1_000),
            idle_expires_at: Timestamp::from_seconds(500),
            ended_at: None,
            generation,
            rotated_at: Timestamp::from_seconds(100),
            ip: String::new(),
            user_agent: String::new(),
        }
    }

    #[test]
    fn sec_13_only_the_direct_parent_is_forgiven_and_only_for_ten_seconds() {
        let grace = Duration::from_secs(10);
        let at = Timestamp::from_seconds;
        let judge = |presented, now| judge_refresh(&session(5), presented, now, grace);
        assert_eq!(judge(5, at(100)), RefreshVerdict::Rotate);
        assert_eq!(judge(5, at(499)), RefreshVerdict::Rotate);
        assert_eq!(judge(4, at(100)), RefreshVerdict::Repeat);
        assert_eq!(judge(4, at(110)), RefreshVerdict::Repeat);
        assert_eq!(judge(4, Timestamp::from_micros(110_000_001)), RefreshVerdict::Replay);
        assert_eq!(judge(3, at(100)), RefreshVerdict::Replay, "grandparent");
        assert_eq!(judge(5, at(500)), RefreshVerdict::Dead, "idle");
        let ended = Session {
            ended_at: Some(at(101)),
            ..session(5)
        };
        assert_eq!(judge_refresh(&ended, 5, at(102), grace), RefreshVerdict::Dead);
        let old = Session {
            idle_expires_at: at(5_000),
            ..session(5)
        };
        assert_eq!(judge_refresh(&old, 5, at(1_000), grace), RefreshVerdict::Dead, "absolute");
    }
}
