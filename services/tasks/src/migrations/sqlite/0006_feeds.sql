-- Calendar feeds. token_hash is the hex SHA-256 of the secret in the link, which is stored nowhere.
CREATE TABLE task_feeds (
    id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    token_hash TEXT NOT NULL,
    CONSTRAINT task_feeds_pk PRIMARY KEY (id),
    CONSTRAINT task_feeds_token_unique UNIQUE (token_hash)
);
CREATE INDEX task_feeds_user ON task_feeds (user_id);
