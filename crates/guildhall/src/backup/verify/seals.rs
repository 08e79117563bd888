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
                let (wrong, foreign) = self.walk(service, head).await?;
                faults.extend(wrong);
                unchecked += foreign;
            }
            if faults.len() > COUNTED {
                break;
            }
        }
        self.note(
            service,
            "audit.seals",
            Severity::Broken,
            "Every entry of an audit log that the secret at hand sealed is as it was written, and none is missing.",
            faults,
        );
        let rows = match self.audit_key {
            _ if unchecked == 0 => Vec::new(),
            Some(_) => vec![format!("{unchecked} entries are sealed under another secret")],
            None => vec![format!(
                "{unchecked} entries, and no secret is at hand (server.secret, or secret.key in the data folder)"
            )],
        };
        self.note(
            service,
            "audit.key",
            Severity::Attention,
            "Entries are sealed under the secret that is at hand; of others only their numbers are verified.",
            rows,
        );
        Ok(())
    }

    /// What is wrong, and how many entries cannot be checked.
    async fn walk(&mut self, service: &str, head: Head) -> Result<(Vec<String>, u64)> {
        let log = head.log_id;
        let key = self.audit_key.clone();
        let mut walk = Walk::new(head, key.as_ref());
        loop {
            let entries: Vec<SealedEntry> = self.transfer.all(service, chain::entries(log, walk.after(), PAGE)).await?;
            let whole = entries.len() as u64 == PAGE;
            for entry in &entries {
                walk.step(entry);
            }
            if !whole || walk.faults.len() > COUNTED {
                let walk = walk.end();
                return Ok((walk.faults, walk.unchecked));
            }
        }
    }
}
