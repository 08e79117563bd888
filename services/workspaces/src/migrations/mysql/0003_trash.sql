-- Who deleted a project, for those who may restore it.
ALTER TABLE projects ADD COLUMN deleted_by BINARY(16) NULL;
