-- A log per workspace, per account, and one of the installation (with the id 0).
CREATE TABLE audit_logs (
    log_id uuid NOT NULL PRIMARY KEY,
    -- workspace, account, installation
    kind varchar(16) NOT NULL,
    -- Of the newest entry.
    last_seq bigint NOT NULL,
    last_seal varchar(64) NOT NULL,
    -- The oldest entry that is kept continues this seal.
    first_seq bigint NOT NULL,
    before_seal varchar(64) NOT NULL,
    -- Both ends are sealed as well. From key_since on every entry is sealed under this key.
    key_id varchar(16) NOT NULL,
    key_since bigint NOT NULL,
    seal varchar(64) NOT NULL,
    created_at bigint NOT NULL
);

-- Who did what, from where. Rows are added, and in time the oldest go; none is ever changed.
CREATE TABLE audit_entries (
    log_id uuid NOT NULL,
    -- 1, 2, 3 without gaps.
    seq bigint NOT NULL,
    -- Of the event that brought it.
    id uuid NOT NULL,
    occurred_at bigint NOT NULL,
    -- user, api_key, system, anonymous
    actor_kind varchar(16) NOT NULL,
    actor_id uuid NULL,
    api_key_id uuid NULL,
    action varchar(64) NOT NULL,
    target_kind varchar(32) NOT NULL,
    target_id varchar(100) NULL,
    target_name varchar(300) NULL,
    address varchar(64) NULL,
    user_agent varchar(300) NULL,
    request_id varchar(100) NOT NULL,
    -- JSON: fields with their values before and after
    changes text NOT NULL,
    -- Which key sealed it, and the seal: a code over the entry and the seal before.
    key_id varchar(16) NOT NULL,
    seal varchar(64) NOT NULL,
    PRIMARY KEY (log_id, seq),
    CONSTRAINT audit_entries_log_fk FOREIGN KEY (log_id) REFERENCES audit_logs (log_id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX audit_entries_event ON audit_entries (id);

CREATE INDEX audit_entries_list ON audit_entries (log_id, occurred_at, seq);

CREATE INDEX audit_entries_action ON audit_entries (log_id, action, occurred_at, seq);

CREATE INDEX audit_entries_actor ON audit_entries (log_id, actor_id, occurred_at, seq);

CREATE INDEX audit_entries_target ON audit_entries (log_id, target_id, occurred_at, seq);

CREATE INDEX audit_entries_age ON audit_entries (occurred_at, log_id);
