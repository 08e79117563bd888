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
