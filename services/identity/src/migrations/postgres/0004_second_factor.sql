CREATE TABLE second_factors (
    user_id uuid NOT NULL PRIMARY KEY,
    sealed_seed TEXT NOT NULL,
    last_step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    version BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    code_hash bytea NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

CREATE TABLE sign_in_challenges (
    token_hash bytea NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    failures BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_in_challenges_user ON sign_in_challenges (user_id);
CREATE INDEX sign_in_challenges_expiry ON sign_in_challenges (expires_at);
