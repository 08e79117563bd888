-- Calendar feeds. token_hash is the hex SHA-256 of the secret in the link, which is stored nowhere.
CREATE TABLE task_feeds (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    name VARCHAR(100) COLLATE "C" NOT NULL,
    query VARCHAR(2000) COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    token_hash VARCHAR(64) COLLATE "C" NOT NULL,
    CONSTRAINT task_feeds_pk PRIMARY KEY (id),
    CONSTRAINT task_feeds_token_unique UNIQUE (token_hash)
);
CREATE INDEX task_feeds_user ON task_feeds (user_id);
