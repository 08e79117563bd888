-- What a person wrote, and what lies in a workspace, in the order of writing.
CREATE INDEX comments_author ON comments (author_id, created_at, id);
CREATE INDEX comments_workspace ON comments (workspace_id, created_at, id);
CREATE INDEX task_activity_workspace ON task_activity (workspace_id, created_at, id);
CREATE INDEX task_relations_workspace ON task_relations (workspace_id, source_id, target_id, kind);
