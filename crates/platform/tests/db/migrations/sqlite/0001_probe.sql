CREATE TABLE probe (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    flag BOOLEAN NOT NULL,
    big INTEGER NOT NULL,
    small INTEGER NOT NULL,
    ratio REAL,
    body BLOB,
    note TEXT,
    version INTEGER NOT NULL
);
CREATE UNIQUE INDEX probe_name_key ON probe (name);
CREATE TABLE child (
    id BLOB NOT NULL PRIMARY KEY,
    probe_id BLOB NOT NULL CONSTRAINT child_probe_fkey REFERENCES probe (id)
);
CREATE TABLE owner (
    id BLOB NOT NULL PRIMARY KEY,
    room INTEGER NOT NULL
);
