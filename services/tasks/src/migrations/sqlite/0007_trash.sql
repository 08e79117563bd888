-- What lies deleted in a workspace; nearly all tasks have NULL there.
CREATE INDEX tasks_trash ON tasks (workspace_id, deleted_with);
