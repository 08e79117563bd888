-- For which reason the row's reader was told of the change: in the inbox (kept when dismissed) and by mail.
ALTER TABLE notifications ADD COLUMN told_in_app varchar(64) NULL;

ALTER TABLE notifications ADD COLUMN told_email varchar(64) NULL;

ALTER TABLE task_participants ADD COLUMN project_id uuid NULL;

-- What is left of a project is erased with it.
CREATE INDEX notifications_project ON notifications (project_id);

CREATE INDEX task_participants_project ON task_participants (project_id);

CREATE INDEX event_log_project ON event_log (project_id);
