-- A workspace has only so many webhooks: whoever makes one holds the workspace's row until the commit, so that two at once
-- count each other.
CREATE TABLE webhook_turns (
    workspace_id BINARY(16) NOT NULL PRIMARY KEY,
    taken_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
