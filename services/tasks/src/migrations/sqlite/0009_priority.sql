-- A page of a project's tasks in the order of their priority.
CREATE INDEX tasks_project_priority ON tasks (project_id, priority, id);
