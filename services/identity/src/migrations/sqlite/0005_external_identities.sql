CREATE TABLE external_identities (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    email TEXT,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    CONSTRAINT external_identities_key UNIQUE (issuer, subject)
);
CREATE INDEX external_identities_user ON external_identities (user_id, id);

CREATE TABLE finished_flows (
    flow_hash BLOB NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX finished_flows_expiry ON finished_flows (expires_at);
