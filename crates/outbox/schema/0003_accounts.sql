-- Which accounts a provider's section has named, and until when (M14): what a store has forgotten may have been sent to any that
-- was in use then. A file of version 2 is brought here when it is opened.

ALTER TABLE accounts RENAME TO accounts_before;
CREATE TABLE accounts (
  provider   TEXT    NOT NULL,                    -- the section; '*': any
  digest     TEXT    NOT NULL,
  profile    TEXT    NOT NULL,
  base_url   TEXT    NOT NULL,
  partner_id TEXT    NOT NULL,
  first_seen INTEGER NOT NULL,
  left_at    INTEGER,                             -- the first start without it; NULL: in use
  PRIMARY KEY (provider, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO accounts SELECT provider, digest, profile, base_url, partner_id, first_seen, NULL FROM accounts_before;
DROP TABLE accounts_before;
