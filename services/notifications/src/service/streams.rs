//! Live event streams: one reader's walk along a workspace's log.
//!
//! A stream holds a position and at most `client_queue` entries. Nothing is pushed at it: it reads on when its client
//! has taken what it had, so a slow client costs no memory, and one that leaves its queue untouched for too long is
//! disconnected. What it may see is asked again every few seconds, and at once when a signal says that sessions or
//! memberships changed; entries still in the queue are then looked at again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use contracts::identity::CheckSession;
use contracts::workspaces::{GetMembership, Membership};
use kernel::ids::{ProjectId, UserId, WorkspaceId};
use kernel::roles::Permission;
use kernel::{Actor, CallContext, Result};
use platform::Caller;
use platform::signals::Signal;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::hub::{Feed, StreamSlot};
use crate::NotificationsService;
use crate::error::NotificationsError;
use crate::model::{Resume, resume};
use crate::store::event_log::{self, Entry};
use crate::store::inbox::Scope;

/// What a client receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The stream stands; resume from `id`.
    Ready {
        id: i64,
    },
    /// Events were missed for good: load everything again, then go on after `id`.
    Reset {
        id: i64,
    },
    Event(Arc<Entry>),
    Heartbeat,
    /// The last frame, and why.
    End(EndReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The session ended or the workspace cannot be read any more: do not come back.
    AccessLost,
    /// The access token ended, or the stream lived as long as it may: come back with a fresh token.
    Expired,
    /// The server stops or cannot check access: come back.
    Restart,
}

impl EndReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AccessLost => "access_lost",
            Self::Expired => "expired",
            Self::Restart => "restart",
        }
    }
}

/// After a hint the counter is looked at in growing steps until the entry is there.
const FAST_STEPS: [u64; 7] = [2, 5, 10, 20, 50, 100, 200];

pub(crate) struct EventStream {
    service: Arc<NotificationsService>,
    caller: Caller,
    user_id: UserId,
    workspace_id: WorkspaceId,
    feed: Arc<Feed>,
    head: watch::Receiver<i64>,
    hint: watch::Receiver<u64>,
    signals: broadcast::Receiver<Signal>,
    /// Everything up to here was sent or was not for this reader.
    position: i64,
    queue: VecDeque<Frame>,
    membership: Membership,
    /// Answers of this round, dropped at every check.
    projects: HashMap<ProjectId, bool>,
    checked_at: Instant,
    /// A signal said that access may have changed.
    suspect: bool,
    /// When the token ends, or the stream has lived as long as it may.
    ends_at: Instant,
    sent_at: Instant,
    poll_at: Instant,
    fast: usize,
    ended: bool,
    _slot: StreamSlot,
}

impl NotificationsService {
    /// 404 for a workspace the caller is no member of; 429 and 503 when too many streams are open.
    pub(crate) async fn open_stream(
        self: &Arc<Self>,
        caller: Caller,
        workspace_id: WorkspaceId,
        last_event_id: Option<&str>,
    ) -> Result<EventStream> {
        let user_id = caller.user_id()?;
        // Before the check, so that a change during it is not missed.
        let signals = self.toolkit.signals.subscribe();
        let request = GetMembership { user_id, workspace_id };
        let membership = self.workspaces.get_membership(&caller.call(), request).await?;
        let membership = membership.ok_or(NotificationsError::WorkspaceNotFound)?;
        let slot = self
            .hub
            .take_slot(user_id, self.config.max_streams_per_user, self.config.max_streams)?;
        let feed = self.hub.feed(workspace_id);
        let bounds = event_log::bounds(&self.db, workspace_id).await?;
        feed.advance(bounds.head);
        let (position, first) = match resume(bounds, last_event_id) {
            Resume::After(id) => (id, Frame::Ready { id }),
            Resume::Reset(id) => (id, Frame::Reset { id }),
        };
        let now = Instant::now();
        let lifetime = match caller.token_expires_at {
            Some(expiry) => expiry.since(self.toolkit.clock.now()).min(self.config.max_stream()),
            None => self.config.max_stream(),
        };
        Ok(EventStream {
            head: feed.head(),
            hint: feed.hint(),
            service: Arc::clone(self),
            caller,
            user_id,
            workspace_id,
            feed,
            signals,
            position,
            queue: VecDeque::from([first]),
            membership,
            projects: HashMap::new(),
            checked_at: now,
            suspect: false,
            ends_at: now + lifetime,
            sent_at: now,
            poll_at: now,
            fast: FAST_STEPS.len(),
            ended: false,
            _slot: slot,
        })
    }
}

impl EventStream {
    /// The next frame; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if self.ended {
                return None;
            }
            if !self.queue.is_empty() && self.sent_at.elapsed() > self.service.config.slow_client() {
                tracing::debug!(user_id = %self.user_id, "a client of the live events does not read; disconnected");
                return None;
            }
            if let Some(reason) = self.check().await {
                self.ended = true;
                return Some(Frame::End(reason));
            }
            if let Some(frame) = self.queue.pop_front() {
                if let Frame::Event(entry) = &frame {
                    self.position = entry.seq;
                }
                self.sent_at = Instant::now();
                return Some(frame);
            }
            // An unreadable log (database away) is retried at the next poll; the client just hears nothing new meanwhile.
            match self.fill().await {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(frame) = self.wait().await {
                        self.sent_at = Instant::now();
                        return Some(frame);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, workspace_id = %self.workspace_id, "cannot read the event log");
                    tokio::time::sleep(self.service.config.poll()).await;
                }
            }
        }
    }

    fn call(&self) -> CallContext {
        let deadline = self.service.toolkit.clock.now().plus(Duration::from_secs(5));
        CallContext {
            deadline,
            ..self.caller.call()
        }
    }

    /// Ends the stream when its time is over or access is gone. Asks only when a signal or the interval says so.
    async fn check(&mut self) -> Option<EndReason> {
        if Instant::now() >= self.ends_at {
            return Some(EndReason::Expired);
        }
        let mut due = self.suspect || self.checked_at.elapsed() > self.service.config.recheck();
        loop {
            match self.signals.try_recv() {
                Ok(Signal::Stopping) | Err(broadcast::error::TryRecvError::Closed) => return Some(EndReason::Restart),
                Ok(signal) => due |= self.is_affected_by(&signal),
                Err(broadcast::error::TryRecvError::Lagged(_)) => due = true,
                Err(broadcast::error::TryRecvError::Empty) => break,
            }
        }
        if !due {
            return None;
        }
        match self.still_allowed().await {
            Ok(true) => {
                self.checked_at = Instant::now();
                self.suspect = false;
                self.projects.clear();
                // What was read under the old permissions is read again under the new ones.
                self.queue.retain(|frame| !matches!(frame, Frame::Event(_)));
                None
            }
            Ok(false) => Some(EndReason::AccessLost),
            Err(error) => {
                tracing::warn!(%error, "cannot check the access of a live event stream; closed");
                Some(EndReason::Restart)
            }
        }
    }

    fn is_affected_by(&self, signal: &Signal) -> bool {
        match signal {
            Signal::SessionsChanged(user) => *user == self.user_id,
            Signal::MembershipChanged { workspace_id, user_id } => {
                *workspace_id == self.workspace_id && user_id.is_none_or(|user| user == self.user_id)
            }
            Signal::WorkspaceEvent(workspace_id) => {
                if *workspace_id == self.workspace_id {
                    self.feed.nudge();
                }
                false
            }
            Signal::InboxChanged(_) | Signal::Stopping => false,
        }
    }

    async fn still_allowed(&mut self) -> Result<bool> {
        let ctx = self.call();
        let user_id = self.user_id;
        if let Actor::User { session_id, .. } = self.caller.actor {
            let state = self
                .service
                .identity
                .check_session(&ctx, CheckSession { user_id, session_id })
                .await?;
            if !state.active {
                return Ok(false);
            }
        }
        let request = GetMembership {
            user_id,
            workspace_id: self.workspace_id,
        };
        let Some(membership) = self.service.workspaces.get_membership(&ctx, request).await? else {
            return Ok(false);
        };
        self.membership = membership;
        Ok(true)
    }

    /// Reads the next entries into the empty queue; `false` when there are none yet.
    async fn fill(&mut self) -> Result<bool> {
        if *self.head.borrow_and_update() <= self.position {
            return Ok(false);
        }
        let limit = self.service.config.client_queue as usize;
        let entries = self.feed.after(&self.service.db, self.position, limit).await?;
        let some = !entries.is_empty();
        for entry in entries {
            if self.may_see(&entry).await? {
                self.queue.push_back(Frame::Event(entry));
            } else if self.queue.is_empty() {
                self.position = entry.seq;
            }
        }
        Ok(some)
    }

    async fn may_see(&mut self, entry: &Entry) -> Result<bool> {
        if entry.user_id.is_some_and(|owner| owner != self.user_id) {
            return Ok(false);
        }
        if let Some(permission) = &entry.permission
            && !permission
                .parse::<Permission>()
                .is_ok_and(|permission| self.membership.permits(permission))
        {
            return Ok(false);
        }
        let Some(project_id) = entry.project_id else {
            return Ok(true);
        };
        if let Some(known) = self.projects.get(&project_id) {
            return Ok(*known);
        }
        let scope = Scope {
            workspace_id: self.workspace_id,
            project_id: Some(project_id),
        };
        let readable = self.service.can_read(&self.call(), self.user_id, scope).await?;
        self.projects.insert(project_id, readable);
        Ok(readable)
    }

    /// Until something may be new, or a heartbeat is due.
    async fn wait(&mut self) -> Option<Frame> {
        let config = &self.service.config;
        let heartbeat_at = self.sent_at + config.heartbeat();
        let check_at = (self.checked_at + config.recheck()).min(self.ends_at) + Duration::from_millis(1);
        let until = heartbeat_at.min(check_at).min(self.poll_at);
        tokio::select! {
            // Errors mean that the sender is gone; it lives in `self.feed`.
            _ = self.head.changed() => return None,
            _ = self.hint.changed() => {
                self.fast = 0;
                self.poll_at = Instant::now();
            }
            signal = self.signals.recv() => {
                match signal {
                    Ok(Signal::Stopping) => self.ended = true,
                    Ok(signal) if !self.is_affected_by(&signal) => {}
                    // Ask at the next turn.
                    Ok(_) | Err(_) => self.suspect = true,
                }
            }
            () = tokio::time::sleep_until(until) => {}
        }
        if self.ended {
            return Some(Frame::End(EndReason::Restart));
        }
        self.poll().await;
        (Instant::now() >= heartbeat_at).then_some(Frame::Heartbeat)
    }

    async fn poll(&mut self) {
        let now = Instant::now();
        if now < self.poll_at {
            return;
        }
        let config = &self.service.config;
        let looked = if let Some(step) = FAST_STEPS.get(self.fast) {
            self.fast += 1;
            self.poll_at = now + Duration::from_millis(*step);
            self.feed.look(&self.service.db).await
        } else {
            self.poll_at = now + config.poll();
            self.service.hub.poll(&self.service.db, config.poll() / 2).await
        };
        if let Err(error) = looked {
            tracing::debug!(%error, "cannot look for new events");
        }
        if *self.head.borrow() > self.position {
            self.fast = FAST_STEPS.len();
        }
    }
}
