//! Writing an entry down.

use contracts::Envelope;
use contracts::audit::events::ActionRecorded;
use kernel::{Error, Result};
use platform::db::Unit;

use crate::AuditService;
use crate::model::{Entry, Head, SealedEntry, cut, log_id, log_kind};
use crate::store;

impl AuditService {
    /// The entry becomes the end of its log, sealed together with the one before. When another service's entry gets there
    /// first the unit fails, and the relay tries again.
    pub(crate) async fn append(&self, event: &Envelope, recorded: ActionRecorded, unit: &mut Unit) -> Result<()> {
        let id = log_id(recorded.log);
        let head = store::logs::find(&self.db, id).await?;
        let (seq, before) = head.as_ref().map_or((1, ""), |head| (head.last_seq + 1, head.last_seal.as_str()));
        let short = |text: Option<String>, limit| text.filter(|text| !text.is_empty()).map(|text| cut(&text, limit));
        let source = recorded.source;
        let entry = Entry {
            log_id: id,
            seq,
            id: event.id,
            occurred_at: event.time,
            who: recorded.actor.unwrap_or(event.actor).into(),
            action: cut(&recorded.action, 64),
            target_kind: cut(&recorded.target.kind, 32),
            target_id: short(recorded.target.id, 100),
            target_name: short(recorded.target.name, 300),
            address: source.as_ref().map(|source| source.address.to_string()),
            user_agent: short(source.and_then(|source| source.user_agent), 300),
            request_id: cut(event.requestid.as_deref().unwrap_or_default(), 100),
            changes: serde_json::to_string(&recorded.changes).map_err(Error::internal)?,
        };
        let sealed = SealedEntry {
            seal: self.key.seal(before, &entry),
            key_id: self.key.id().to_owned(),
            entry,
        };
        match head {
            None => {
                let head = Head::begin(log_kind(recorded.log), &sealed, &self.key);
                store::logs::insert(unit, &head, self.toolkit.clock.now());
            }
            Some(head) => store::logs::change(unit, &head, &head.clone().extend(&sealed, &self.key)),
        }
        store::entries::insert(unit, &sealed);
        Ok(())
    }
}
