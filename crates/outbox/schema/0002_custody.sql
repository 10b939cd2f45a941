-- Custody: whose store this is at the broker, to whom an attempt was sent, by which clock. A file of version 1 is brought here
-- when it is opened.

-- Set in a backup, to when it was made: whoever opens it as a store knows that it may be behind.
ALTER TABLE meta ADD COLUMN copied_at INTEGER;
