-- Registration by a link for one claims its use: the account that is being made, what ties it to the address, and when.
ALTER TABLE invitations ADD COLUMN claimed_by uuid NULL;
ALTER TABLE invitations ADD COLUMN claimed_for bytea NULL;
ALTER TABLE invitations ADD COLUMN claimed_at BIGINT NULL;
