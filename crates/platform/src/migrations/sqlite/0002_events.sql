-- AUTOINCREMENT: a number is never given twice, also after delivered rows are gone.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    envelope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    parked_at BIGINT
);
CREATE INDEX outbox_waiting ON outbox (parked_at, seq);

CREATE TABLE outbox_failures (
    event_id BLOB NOT NULL,
    consumer TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    dead_at BIGINT,
    PRIMARY KEY (event_id, consumer)
) WITHOUT ROWID;

CREATE TABLE inbox (
    consumer TEXT NOT NULL,
    event_id BLOB NOT NULL,
    handled_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, event_id)
) WITHOUT ROWID;
CREATE INDEX inbox_handled ON inbox (handled_at);

CREATE TABLE relay_leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder BLOB NOT NULL,
    expires_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE due_work (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    work_key TEXT,
    payload TEXT NOT NULL,
    run_at BIGINT NOT NULL,
    generation BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    claim BLOB,
    leased_until BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    last_error TEXT,
    dead_at BIGINT,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX due_work_key ON due_work (kind, work_key);
CREATE INDEX due_work_next ON due_work (dead_at, run_at);
CREATE INDEX due_work_claim ON due_work (claim);
