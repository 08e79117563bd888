CREATE TABLE api_keys (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    name VARCHAR(100) NOT NULL,
    scopes VARCHAR(500) NOT NULL,
    secret_hash bytea NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX api_keys_user ON api_keys (user_id, created_at, id);
CREATE INDEX api_keys_expiry ON api_keys (expires_at);
