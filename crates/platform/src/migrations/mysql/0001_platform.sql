-- Replies of requests that carried an Idempotency-Key, stored in the transaction of their effect.
CREATE TABLE idempotency_keys (
    scope_hash BINARY(32) NOT NULL PRIMARY KEY,
    body_hash BINARY(32) NOT NULL,
    status INT NOT NULL,
    location TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    version BIGINT NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    created_at BIGINT NOT NULL,
    INDEX idempotency_keys_created_at (created_at)
) ENGINE = InnoDB;
