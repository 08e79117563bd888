CREATE TABLE external_identities (
    id BINARY(16) NOT NULL PRIMARY KEY,
    user_id BINARY(16) NOT NULL,
    issuer VARCHAR(500) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    email VARCHAR(254),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    CONSTRAINT external_identities_key UNIQUE (issuer, subject)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX external_identities_user ON external_identities (user_id, id);

CREATE TABLE finished_flows (
    flow_hash BINARY(32) NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX finished_flows_expiry ON finished_flows (expires_at);
