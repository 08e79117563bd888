ALTER TABLE signing_keys ADD COLUMN algorithm VARCHAR(8) NOT NULL DEFAULT 'eddsa';
