-- Custody: whose store this is at the broker, to whom an attempt was sent, by which clock. A file of version 1 is brought here
-- when it is opened.

-- The names of the accounts that attempts were sent to: an attempt keeps the digest only, in what the state machine knew.
CREATE TABLE accounts (
  digest     TEXT    PRIMARY KEY,
  provider   TEXT    NOT NULL,                    -- the section that named it first
  profile    TEXT    NOT NULL,
  base_url   TEXT    NOT NULL,
  partner_id TEXT    NOT NULL,
  first_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
