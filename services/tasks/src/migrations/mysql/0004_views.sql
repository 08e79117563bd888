-- Saved views. default_for names whose default the view is, and where; NULL for none, so that the unique constraint allows
-- one default each on every engine.
CREATE TABLE task_views (
    id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    project_id BINARY(16) NULL,
    owner_id BINARY(16) NOT NULL,
    shared BOOLEAN NOT NULL,
    name VARCHAR(100) NOT NULL,
    query VARCHAR(2000) NOT NULL,
    position INTEGER NOT NULL,
    default_for VARCHAR(100) NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT task_views_pk PRIMARY KEY (id),
    CONSTRAINT task_views_default_unique UNIQUE (default_for)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX task_views_workspace ON task_views (workspace_id, owner_id);
