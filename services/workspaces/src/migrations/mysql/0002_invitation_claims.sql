-- Registration by a link for one claims its use: the account that is being made, what ties it to the address, and when.
ALTER TABLE invitations ADD COLUMN claimed_by BINARY(16) NULL;
ALTER TABLE invitations ADD COLUMN claimed_for BINARY(32) NULL;
ALTER TABLE invitations ADD COLUMN claimed_at BIGINT NULL;
