-- Replies of requests that carried an Idempotency-Key, stored in the transaction of their effect.
CREATE TABLE idempotency_keys (
    scope_hash bytea NOT NULL,
    body_hash bytea NOT NULL,
    status integer NOT NULL,
    location text,
    version bigint,
    body text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope_hash)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
