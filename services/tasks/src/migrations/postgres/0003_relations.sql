-- An edge from a task to another: blocks, relates or duplicates. One that has no direction goes from the smaller id to the
-- greater.
CREATE TABLE task_relations (
    source_id UUID NOT NULL,
    target_id UUID NOT NULL,
    kind VARCHAR(16) COLLATE "C" NOT NULL,
    workspace_id UUID NOT NULL,
    creator_id UUID NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT task_relations_pk PRIMARY KEY (source_id, target_id, kind),
    CONSTRAINT task_relations_source_fk FOREIGN KEY (source_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT task_relations_target_fk FOREIGN KEY (target_id) REFERENCES tasks (id) ON DELETE CASCADE
);
CREATE INDEX task_relations_target ON task_relations (target_id);

-- Grows with every new edge: two that are made at the same moment cannot close a cycle between them.
ALTER TABLE task_workspaces ADD COLUMN relations_version BIGINT NOT NULL DEFAULT 0;
