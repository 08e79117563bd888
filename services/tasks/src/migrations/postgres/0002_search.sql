-- Rows whose folded texts come from an older rule of folding (until here: case letter by letter, so that "STRASSE" did not
-- find "Straße"). SQL cannot fold, so a sweep folds them anew and empties the table.
CREATE TABLE task_refold (
    kind VARCHAR(16) COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    CONSTRAINT task_refold_pk PRIMARY KEY (kind, id)
);
INSERT INTO task_refold (kind, id) SELECT 'task', id FROM tasks;
INSERT INTO task_refold (kind, id) SELECT 'label', id FROM labels;
INSERT INTO task_refold (kind, id) SELECT 'state', id FROM task_states;

-- The terms of a task in their order: a search for common words looks each of them up here, beginnings of words too.
CREATE INDEX task_terms_task_term ON task_terms (task_id, term);
DROP INDEX task_terms_task;
