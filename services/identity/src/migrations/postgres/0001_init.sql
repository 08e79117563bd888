CREATE TABLE users (
    id uuid NOT NULL PRIMARY KEY,
    email VARCHAR(254),
    email_verified BOOLEAN NOT NULL,
    pending_email VARCHAR(254),
    name VARCHAR(200) NOT NULL,
    time_zone VARCHAR(64) NOT NULL,
    locale VARCHAR(35) NOT NULL,
    search_folded VARCHAR(500) NOT NULL,
    password_hash text,
    password_changed_at BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    instance_admin BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT users_email_key UNIQUE (email)
);
CREATE INDEX users_created ON users (created_at, id);
CREATE INDEX users_admin ON users (instance_admin, status);

CREATE TABLE sessions (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    end_reason VARCHAR(32),
    generation BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    ip VARCHAR(45) NOT NULL,
    user_agent VARCHAR(300) NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_expiry ON sessions (expires_at);
CREATE INDEX sessions_ended ON sessions (ended_at);

CREATE TABLE refresh_tokens (
    token_hash bytea NOT NULL PRIMARY KEY,
    session_id uuid NOT NULL,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE mail_tokens (
    token_hash bytea NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    purpose VARCHAR(24) NOT NULL,
    email VARCHAR(254) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mail_tokens_user ON mail_tokens (user_id, purpose);
CREATE INDEX mail_tokens_expiry ON mail_tokens (expires_at);

CREATE TABLE signing_keys (
    kid VARCHAR(43) NOT NULL PRIMARY KEY,
    slot VARCHAR(16),
    salt bytea NOT NULL,
    public_key bytea NOT NULL,
    created_at BIGINT NOT NULL,
    activated_at BIGINT,
    retired_at BIGINT,
    CONSTRAINT signing_keys_slot_key UNIQUE (slot)
);

CREATE TABLE throttles (
    key_hash bytea NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_failed_at BIGINT NOT NULL
);
CREATE INDEX throttles_age ON throttles (last_failed_at);

CREATE TABLE setup_codes (
    name VARCHAR(16) NOT NULL PRIMARY KEY,
    nonce bytea NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT
);
