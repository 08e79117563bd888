//! The chain of seals. A seal is HMAC-SHA256 over an entry and the seal before it, so that changing, removing, inserting or
//! moving one breaks all after it, and mending them takes a key that lies outside the database. The idea is that of B. Schneier
//! and J. Kelsey, "Secure Audit Logs to Support Computer Forensics" (1999), without the evolving key.

use data_encoding::HEXLOWER;
use hmac::Mac;
use kernel::ids::EntityId;
use kernel::mac::hmac_sha256;

use super::{Entry, Head, SealedEntry};

/// Seals entries.
#[derive(Clone)]
pub struct AuditKey {
    key: [u8; 32],
    id: String,
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuditKey({})", self.id)
    }
}

impl AuditKey {
    pub fn new(key: [u8; 32]) -> Self {
        let digest = hmac_sha256(&key, &[b"id"]).finalize().into_bytes();
        Self {
            key,
            id: HEXLOWER.encode(&digest[..8]),
        }
    }

    /// Names the key without telling it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// 64 hexadecimal digits.
    pub fn seal(&self, before: &str, entry: &Entry) -> String {
        // Each part goes in behind its length, so that no text can pass for two.
        let (id, seq, at) = (
            entry.id.uuid(),
            entry.seq.to_be_bytes(),
            entry.occurred_at.as_micros().to_be_bytes(),
        );
        let user = entry.who.user_id.map(|id| id.to_string());
        let api_key = entry.who.api_key_id.map(|id| id.to_string());
        let parts: [&[u8]; 17] = [
            b"entry 1",
            before.as_bytes(),
            entry.log_id.as_bytes(),
            &seq,
            id.as_bytes(),
            &at,
            entry.who.kind.as_bytes(),
            text(user.as_ref()),
            text(api_key.as_ref()),
            entry.action.as_bytes(),
            entry.target_kind.as_bytes(),
            text(entry.target_id.as_ref()),
            text(entry.target_name.as_ref()),
            text(entry.address.as_ref()),
            text(entry.user_agent.as_ref()),
            entry.request_id.as_bytes(),
            entry.changes.as_bytes(),
        ];
        HEXLOWER.encode(&hmac_sha256(&self.key, &parts).finalize().into_bytes())
    }
}

impl AuditKey {
    /// As [`Self::seal`], over both ends of a log.
    pub(super) fn seal_head(&self, head: &Head) -> String {
        let (first, last, since) = (
            head.first_seq.to_be_bytes(),
            head.last_seq.to_be_bytes(),
            head.key_since.to_be_bytes(),
        );
        let parts: [&[u8]; 8] = [
            b"head 1",
            head.log_id.as_bytes(),
            head.kind.as_bytes(),
            &first,
            head.before_seal.as_bytes(),
            &last,
            head.last_seal.as_bytes(),
            &since,
        ];
        HEXLOWER.encode(&hmac_sha256(&self.key, &parts).finalize().into_bytes())
    }
}

fn text(text: Option<&String>) -> &[u8] {
    text.map_or(&[][..], String::as_bytes)
}

/// Walks one log from its oldest kept entry to its newest.
#[derive(Debug)]
pub struct Walk<'a> {
    head: Head,
    /// That of the installation, if it is at hand.
    key: Option<&'a AuditKey>,
    next_seq: i64,
    seal: String,
    /// What is not as it was written, in words.
    pub faults: Vec<String>,
    /// Entries that another key sealed: nothing can be said of them but that their numbers are complete.
    pub unchecked: u64,
}

impl<'a> Walk<'a> {
    pub fn new(head: Head, key: Option<&'a AuditKey>) -> Self {
        Self {
            key,
            next_seq: head.first_seq,
            seal: head.before_seal.clone(),
            head,
            faults: Vec::new(),
            unchecked: 0,
        }
    }

    /// Where the next entries are.
    pub fn after(&self) -> i64 {
        self.next_seq - 1
    }

    fn fault(&mut self, seq: i64, what: &str) {
        self.faults.push(format!("log={} seq={seq}: {what}", self.head.log_id));
    }

    pub fn step(&mut self, sealed: &SealedEntry) {
        let seq = sealed.entry.seq;
        if seq == self.next_seq {
            match self.key {
                Some(key) if key.id == sealed.key_id => {
                    if key.seal(&self.seal, &sealed.entry) != sealed.seal {
                        self.fault(seq, "not as it was written");
                    }
                    // The ends are sealed with every entry that comes.
                    if key.id != self.head.key_id {
                        self.fault(seq, "sealed under another key than the log");
                    }
                }
                Some(key) if key.id == self.head.key_id && seq >= self.head.key_since => {
                    self.fault(seq, "sealed under another key than the log");
                }
                _ => self.unchecked += 1,
            }
        } else {
            self.fault(self.next_seq, "missing");
        }
        // What follows is judged by what stands here, so that one fault is told once.
        self.next_seq = seq + 1;
        self.seal.clone_from(&sealed.seal);
    }

    /// After the last entry.
    #[must_use]
    pub fn end(mut self) -> Self {
        let own = self.key.filter(|key| key.id == self.head.key_id);
        if own.is_some_and(|key| key.seal_head(&self.head) != self.head.seal) {
            self.fault(self.head.last_seq, "the ends of the log are not as they were written");
        }
        if self.after() != self.head.last_seq || self.seal != self.head.last_seal {
            self.fault(
                self.head.last_seq,
                "the newest entries are missing, or are not as they were written",
            );
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use kernel::Timestamp;
    use kernel::ids::{EventId, UserId, Uuid};

    use super::*;
    use crate::model::Who;

    fn entry(seq: i64) -> Entry {
        Entry {
            log_id: Uuid::from_u128(7),
            seq,
            id: EventId::from_uuid(Uuid::from_u128(seq.unsigned_abs().into())),
            occurred_at: Timestamp::from_seconds(seq),
            who: Who {
                kind: "user".into(),
                user_id: Some(UserId::from_uuid(Uuid::from_u128(9))),
                api_key_id: None,
            },
            action: "project.deleted".into(),
            target_kind: "project".into(),
            target_id: None,
            target_name: Some("Forge".into()),
            address: None,
            user_agent: None,
            request_id: "r".into(),
            changes: "[]".into(),
        }
    }

    fn chain(key: &AuditKey, before: &str, seqs: std::ops::RangeInclusive<i64>) -> Vec<SealedEntry> {
        let mut seal = before.to_owned();
        seqs.map(|seq| {
            let entry = entry(seq);
            seal = key.seal(&seal, &entry);
            SealedEntry {
                entry,
                key_id: key.id().to_owned(),
                seal: seal.clone(),
            }
        })
        .collect()
    }

    fn walk(entries: &[SealedEntry], head: &Head, key: Option<&AuditKey>) -> (usize, u64) {
        let mut walk = Walk::new(head.clone(), key);
        for entry in entries {
            walk.step(entry);
        }
        let walk = walk.end();
        (walk.faults.len(), walk.unchecked)
    }

    /// As the service writes it.
    fn log(key: &AuditKey, entries: &[SealedEntry]) -> Head {
        let mut head = Head::begin("workspace", &entries[0], key);
        for entry in &entries[1..] {
            head = head.extend(entry, key);
        }
        head
    }

    #[test]
    fn sec_24_a_tampered_log_is_noticed() {
        let key = AuditKey::new([3; 32]);
        let whole = chain(&key, "", 1..=9);
        // Three have gone by age.
        let head = log(&key, &whole).shorten(&whole[2], &key);
        let entries = whole[3..].to_vec();
        let faults = |entries: &[SealedEntry]| walk(entries, &head, Some(&key)).0;
        assert_eq!(walk(&entries, &head, Some(&key)), (0, 0));

        let mut changed = entries.clone();
        changed[2].entry.who.kind = "system".into();
        assert_eq!(faults(&changed), 1, "a changed entry");
        let mut resealed = changed.clone();
        resealed[2].seal = AuditKey::new([4; 32]).seal(&resealed[1].seal, &resealed[2].entry);
        assert!(faults(&resealed) >= 1, "sealed again without the key");
        for place in [0, 2, 5] {
            let mut disowned = entries.clone();
            disowned[place].entry.action = "member.left".into();
            disowned[place].key_id = "0000000000000000".into();
            assert!(faults(&disowned) >= 1, "passed off as sealed under another key");
        }
        let mut removed = entries.clone();
        removed.remove(3);
        assert!(faults(&removed) >= 1, "a removed entry");
        assert!(faults(&entries[..5]) >= 1, "the newest is gone");
        assert!(faults(&entries[1..]) >= 1, "the oldest is gone");
        let mut swapped = entries.clone();
        swapped.swap(1, 2);
        assert!(faults(&swapped) >= 1, "moved entries");
        assert!(faults(&[]) >= 1, "all are gone");

        assert_eq!(walk(&entries, &head, None), (0, 6), "without the key the numbers are checked");
        assert_eq!(walk(&entries, &head, Some(&AuditKey::new([5; 32]))), (0, 6), "as with another");
    }

    #[test]
    fn sec_24_moved_ends_of_a_log_are_noticed() {
        let key = AuditKey::new([3; 32]);
        let entries = chain(&key, "", 1..=6);
        let head = log(&key, &entries);
        assert_eq!(walk(&entries, &head, Some(&key)), (0, 0));
        let mut shorter = head.clone();
        (shorter.last_seq, shorter.last_seal) = (4, entries[3].seal.clone());
        assert_eq!(
            walk(&entries[..4], &shorter, Some(&key)).0,
            1,
            "the newest are gone and the end was moved"
        );
        let mut later = head.clone();
        (later.first_seq, later.before_seal) = (3, entries[1].seal.clone());
        assert_eq!(
            walk(&entries[2..], &later, Some(&key)).0,
            1,
            "the oldest are gone and the beginning was moved"
        );
        let mut disowned = head;
        disowned.key_id = "0000000000000000".into();
        assert!(
            walk(&entries, &disowned, Some(&key)).0 >= 1,
            "the log is passed off as another key's"
        );
    }

    #[test]
    fn a_changed_secret_begins_a_new_key_behind_the_old_entries() {
        let (old, new) = (AuditKey::new([3; 32]), AuditKey::new([4; 32]));
        let mut entries = chain(&old, "", 1..=3);
        let mut head = log(&old, &entries);
        for entry in chain(&new, &entries[2].seal, 4..=5) {
            head = head.extend(&entry, &new);
            entries.push(entry);
        }
        assert_eq!(head.key_since, 4);
        assert_eq!(walk(&entries, &head, Some(&new)), (0, 3));
        let mut disowned = entries.clone();
        disowned[3].key_id = old.id().to_owned();
        assert!(
            walk(&disowned, &head, Some(&new)).0 >= 1,
            "only what was there before may be of the old key"
        );
    }
}
