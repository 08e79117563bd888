//! Lossy in-process signals: cache busts, wake-ups. Never business state.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Something happened; who cares looks it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Sessions of a person ended: drop what is cached about them.
    SessionsChanged(kernel::ids::UserId),
    /// Membership of a person in a workspace (or its projects) changed; `None` means everybody's.
    MembershipChanged {
        workspace_id: kernel::ids::WorkspaceId,
        user_id: Option<kernel::ids::UserId>,
    },
    /// A new event lies in the workspace's event log.
    WorkspaceEvent(kernel::ids::WorkspaceId),
    /// A person's inbox changed.
    InboxChanged(kernel::ids::UserId),
    /// The process stops softly: end responses that would go on for ever (live event streams).
    Stopping,
}

/// Publishes to every subscriber of this process. A slow subscriber misses signals
/// (`RecvError::Lagged`) and must then treat everything as changed.
#[derive(Debug, Clone)]
pub struct Signals {
    sender: Arc<broadcast::Sender<Signal>>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            sender: Arc::new(broadcast::Sender::new(4_096)),
        }
    }
}

impl Signals {
    pub fn publish(&self, signal: Signal) {
        // An error only says that nobody listens.
        let _ = self.sender.send(signal);
    }
    pub fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.sender.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use kernel::ids::{EntityId, UserId, Uuid};
    use tokio::sync::broadcast::error::{RecvError, TryRecvError};

    use super::*;

    fn signal(n: u128) -> Signal {
        Signal::InboxChanged(UserId::from_uuid(Uuid::from_u128(n)))
    }

    #[tokio::test]
    async fn every_subscriber_hears_what_is_published_after_it_came_in_order() {
        let signals = Signals::default();
        signals.publish(signal(0));
        let (mut first, mut second) = (signals.subscribe(), signals.clone().subscribe());
        signals.publish(signal(1));
        signals.publish(signal(2));
        for subscriber in [&mut first, &mut second] {
            assert_eq!(subscriber.recv().await, Ok(signal(1)));
            assert_eq!(subscriber.recv().await, Ok(signal(2)));
            assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
        }
    }

    #[tokio::test]
    async fn a_slow_subscriber_learns_that_it_missed_some_and_holds_nobody_up() {
        let signals = Signals::default();
        let mut slow = signals.subscribe();
        for n in 0..5_000 {
            signals.publish(signal(n));
        }
        assert!(matches!(slow.recv().await, Err(RecvError::Lagged(missed)) if missed >= 900));
        assert!(slow.recv().await.is_ok(), "and goes on with the newest");
    }
}
