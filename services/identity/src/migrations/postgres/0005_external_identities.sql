CREATE TABLE external_identities (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    issuer VARCHAR(500) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    email VARCHAR(254),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    CONSTRAINT external_identities_key UNIQUE (issuer, subject)
);
CREATE INDEX external_identities_user ON external_identities (user_id, id);

CREATE TABLE finished_flows (
    flow_hash bytea NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX finished_flows_expiry ON finished_flows (expires_at);
