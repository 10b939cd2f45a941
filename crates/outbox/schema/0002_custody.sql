-- Custody: whose store this is at the broker, to whom an attempt was sent, by which clock. A file of version 1 is brought here
-- when it is opened.

-- What the worker notes of its custody of a namespace at the broker, as JSON (M13). NULL: it has had none.
ALTER TABLE meta ADD COLUMN custody TEXT;

-- Set in a backup, to when it was made: whoever opens it as a store knows that it may be behind.
ALTER TABLE meta ADD COLUMN copied_at INTEGER;
-- By which clock times are noted (M17): the boot, how far the clock is ahead of the time since boot, and since when, by
-- itself, ages are vouched for. NULL: not noted yet.
ALTER TABLE meta ADD COLUMN clock_boot TEXT;
ALTER TABLE meta ADD COLUMN clock_offset_ms INTEGER;
ALTER TABLE meta ADD COLUMN clock_known_since INTEGER;

-- The names of the accounts that attempts were sent to: an attempt keeps the digest only, in what the state machine knew.
CREATE TABLE accounts (
  digest     TEXT    PRIMARY KEY,
  provider   TEXT    NOT NULL,                    -- the section that named it first
  profile    TEXT    NOT NULL,
  base_url   TEXT    NOT NULL,
  partner_id TEXT    NOT NULL,
  first_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
