//! Whether the audit logs are as they were written: every entry under its seal.

use audit::chain::{self, Head, SealedEntry, Walk};
use platform::check::Severity;

use super::{COUNTED, PAGE, Result, Run};

impl Run<'_> {
    pub(super) async fn seals(&mut self) -> Result<()> {
        let service = audit::SCHEMA.service;
        if !self.current.contains(service) {
            return Ok(());
        }
        let (mut faults, mut unchecked, mut after) = (Vec::new(), 0, None);
        loop {
            let heads: Vec<Head> = self.transfer.all(service, chain::logs(after, PAGE)).await?;
            let Some(last) = heads.last() else { break };
            after = Some(last.log_id);
            for head in heads {
                let walk = self.walk(service, head).await?;
                faults.extend(walk.faults);
                unchecked += walk.unchecked;
            }
            if faults.len() > COUNTED {
                break;
            }
        }
        self.note(
            service,
            "audit.seals",
            Severity::Broken,
            "Every entry of an audit log is as it was written, and none is missing.",
            faults,
        );
        // Without any secret there is nothing to wonder at.
        let other_key = unchecked > 0 && self.audit_key.is_some();
        let unchecked = other_key.then(|| format!("{unchecked} entries"));
        self.note(
            service,
            "audit.key",
            Severity::Attention,
            "Entries are sealed under the secret that is at hand; of others only their numbers are verified.",
            unchecked.into_iter().collect(),
        );
        Ok(())
    }

    async fn walk(&mut self, service: &str, head: Head) -> Result<Walk> {
        let log = head.log_id;
        let mut walk = Walk::new(head);
        loop {
            let entries: Vec<SealedEntry> = self.transfer.all(service, chain::entries(log, walk.after(), PAGE)).await?;
            let whole = entries.len() as u64 == PAGE;
            for entry in &entries {
                walk.step(entry, self.audit_key.as_ref());
            }
            if !whole || walk.faults.len() > COUNTED {
                return Ok(walk.end());
            }
        }
    }
}
