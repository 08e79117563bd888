-- A log per workspace, per account, and one of the installation (with the id 0).
CREATE TABLE audit_logs (
    log_id BINARY(16) NOT NULL PRIMARY KEY,
    -- workspace, account, installation
    kind VARCHAR(16) NOT NULL,
    -- Of the newest entry.
    last_seq BIGINT NOT NULL,
    last_seal VARCHAR(64) NOT NULL,
    -- The oldest entry that is kept continues this seal.
    first_seq BIGINT NOT NULL,
    before_seal VARCHAR(64) NOT NULL,
    -- Both ends are sealed as well. From key_since on every entry is sealed under this key.
    key_id VARCHAR(16) NOT NULL,
    key_since BIGINT NOT NULL,
    seal VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who did what, from where. Rows are added, and in time the oldest go; none is ever changed.
CREATE TABLE audit_entries (
    log_id BINARY(16) NOT NULL,
    -- 1, 2, 3 without gaps.
    seq BIGINT NOT NULL,
    -- Of the event that brought it.
    id BINARY(16) NOT NULL,
    occurred_at BIGINT NOT NULL,
    -- user, api_key, system, anonymous
    actor_kind VARCHAR(16) NOT NULL,
    actor_id BINARY(16) NULL,
    api_key_id BINARY(16) NULL,
    action VARCHAR(64) NOT NULL,
    target_kind VARCHAR(32) NOT NULL,
    target_id VARCHAR(100) NULL,
    target_name VARCHAR(300) NULL,
    address VARCHAR(64) NULL,
    user_agent VARCHAR(300) NULL,
    request_id VARCHAR(100) NOT NULL,
    -- JSON: fields with their values before and after
    changes LONGTEXT NOT NULL,
    -- Which key sealed it, and the seal: a code over the entry and the seal before.
    key_id VARCHAR(16) NOT NULL,
    seal VARCHAR(64) NOT NULL,
    PRIMARY KEY (log_id, seq),
    CONSTRAINT audit_entries_log_fk FOREIGN KEY (log_id) REFERENCES audit_logs (log_id) ON DELETE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE UNIQUE INDEX audit_entries_event ON audit_entries (id);

CREATE INDEX audit_entries_list ON audit_entries (log_id, occurred_at, seq);

CREATE INDEX audit_entries_action ON audit_entries (log_id, action, occurred_at, seq);

CREATE INDEX audit_entries_actor ON audit_entries (log_id, actor_id, occurred_at, seq);

CREATE INDEX audit_entries_target ON audit_entries (log_id, target_id, occurred_at, seq);

CREATE INDEX audit_entries_age ON audit_entries (occurred_at, log_id);
