-- Calendar feeds. token_hash is the hex SHA-256 of the secret in the link, which is stored nowhere.
CREATE TABLE task_feeds (
    id BINARY(16) NOT NULL,
    user_id BINARY(16) NOT NULL,
    name VARCHAR(100) NOT NULL,
    query VARCHAR(2000) NOT NULL,
    created_at BIGINT NOT NULL,
    token_hash VARCHAR(64) NOT NULL,
    CONSTRAINT task_feeds_pk PRIMARY KEY (id),
    CONSTRAINT task_feeds_token_unique UNIQUE (token_hash)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX task_feeds_user ON task_feeds (user_id);
