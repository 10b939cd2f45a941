-- Times are unix milliseconds, amounts minor units (sen).

CREATE TABLE meta (
  id               INTEGER PRIMARY KEY CHECK (id = 1),
  store_id         TEXT    NOT NULL,              -- which store this is; the side file names it too
  commit_seq       INTEGER NOT NULL,              -- grows with every commit; the side file holds the last one
  reconcile_since  INTEGER,                       -- set: the store may not know everything that was done
  reconcile_reason TEXT,
  audit_rows       INTEGER NOT NULL,
  audit_hash       BLOB    NOT NULL CHECK (length(audit_hash) = 32)
) STRICT;

INSERT INTO meta (id, store_id, commit_seq, audit_rows, audit_hash)
VALUES (1, lower(hex(randomblob(8))), 0, 0, zeroblob(32));

-- Numbered in the order of arrival: rows in flight stand side by side, whatever the keys look like.
CREATE TABLE jobs (
  id                   INTEGER PRIMARY KEY,
  partner_reference_no TEXT    NOT NULL UNIQUE,   -- the idempotency key
  provider             TEXT    NOT NULL,
  customer_number      TEXT    NOT NULL,
  amount               INTEGER NOT NULL CHECK (amount >= 0),
  customer_name        TEXT,
  notes                TEXT,
  beneficiary_provider TEXT,
  beneficiary_email    TEXT,
  not_after            INTEGER,
  metadata             TEXT    NOT NULL,          -- byte for byte
  correlation_id       TEXT,
  message_id           TEXT,
  traceparent          TEXT,
  tracestate           TEXT,
  accepted_at          INTEGER NOT NULL,
  state                TEXT    NOT NULL,
  engine               TEXT    NOT NULL,          -- what the state machine knows, as JSON
  version              INTEGER NOT NULL,          -- the fence: grows with every change
  due_at               INTEGER,                   -- NULL while it is driven or rests
  finished_at          INTEGER,
  reference_no         TEXT,
  response_code        TEXT,
  response_message     TEXT,
  fee_amount           INTEGER,
  attempts             INTEGER NOT NULL DEFAULT 0, -- requests that can move money
  requests             INTEGER NOT NULL DEFAULT 0, -- rows in attempts
  entries              INTEGER NOT NULL DEFAULT 0, -- rows in history
  outcome_id           INTEGER,                   -- its terminal outcome
  -- No IN: for each of its lists SQLite would build a table at every change of a row.
  CHECK (CASE
    WHEN state = 'ready' OR state = 'sending' OR state = 'inquired' OR state = 'unconfirmed' THEN finished_at IS NULL
    WHEN state = 'succeeded' OR state = 'rejected' OR state = 'discarded'
      THEN finished_at IS NOT NULL AND due_at IS NULL
    WHEN state = 'dead' THEN finished_at IS NULL AND due_at IS NULL
    ELSE 0
  END)
) STRICT;

-- The only index on the path of a job beside its key. It answers what is due, what a restart has to look at, and the
-- gauges, without touching the table; a finished job is not in it.
CREATE INDEX jobs_open ON jobs (provider, due_at, state, accepted_at, amount, finished_at)
  WHERE finished_at IS NULL;

-- attempts, history and outcomes name jobs that the same transaction has just read: no REFERENCES to look them up again.

CREATE TABLE attempts (
  job_id        INTEGER NOT NULL,
  no            INTEGER NOT NULL,
  service       INTEGER NOT NULL,
  external_id   TEXT    NOT NULL,
  started_at    INTEGER NOT NULL,
  body_sha256   TEXT,
  ended_at      INTEGER,                          -- NULL: perhaps sent
  http_status   INTEGER,
  response_code TEXT,
  class         TEXT,
  detail        TEXT,
  PRIMARY KEY (job_id, no)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
  job_id INTEGER NOT NULL,
  no     INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  event  TEXT    NOT NULL,
  detail TEXT,                                    -- JSON
  PRIMARY KEY (job_id, no)
) STRICT, WITHOUT ROWID;

CREATE TABLE outcomes (
  id           INTEGER PRIMARY KEY,
  job_id       INTEGER,      -- NULL: of a refused message
  event_id     TEXT    NOT NULL,
  event_type   TEXT    NOT NULL,
  terminal     INTEGER NOT NULL CHECK (terminal IN (0, 1)),
  body         BLOB    NOT NULL,
  headers      TEXT    NOT NULL,                  -- JSON
  created_at   INTEGER NOT NULL,
  queued_at    INTEGER NOT NULL,                  -- when it was last put into the outbox
  next_at      INTEGER NOT NULL,                  -- not published before
  postponed    INTEGER NOT NULL DEFAULT 0,
  published_at INTEGER                            -- NULL: waits
) STRICT;

CREATE INDEX outcomes_unpublished ON outcomes (next_at, queued_at, id, published_at) WHERE published_at IS NULL;
-- A job's terminal outcome is found by jobs.outcome_id; this finds the rest, which most jobs do not have.
CREATE INDEX outcomes_by_job ON outcomes (job_id) WHERE terminal = 0 AND job_id IS NOT NULL;

CREATE TABLE dead_letters (
  seq               INTEGER PRIMARY KEY,
  id                TEXT    NOT NULL UNIQUE,      -- ordered by time
  job_id            INTEGER REFERENCES jobs (id), -- NULL: a refused message
  claimed_reference TEXT,
  provider          TEXT,
  reason            TEXT    NOT NULL,
  detail            TEXT    NOT NULL,
  money_state       TEXT    NOT NULL,
  response_code     TEXT,
  dead_at           INTEGER NOT NULL,
  closed_at         INTEGER,
  closed_as         TEXT,
  body              BLOB,
  size              INTEGER,
  sha256            BLOB,
  properties        TEXT,                         -- JSON
  headers           TEXT,                         -- JSON
  CHECK ((closed_at IS NULL) = (closed_as IS NULL)),
  CHECK ((job_id IS NULL) = (body IS NOT NULL))
) STRICT;

CREATE INDEX dead_letters_open ON dead_letters (id, reason, closed_at) WHERE closed_at IS NULL;
CREATE INDEX dead_letters_by_job ON dead_letters (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE lanes (
  provider  TEXT    PRIMARY KEY,
  version   INTEGER NOT NULL,                     -- grows with every change
  fault     TEXT,                                 -- paused by itself
  paused_by TEXT,                                 -- paused by an operator
  reason    TEXT,
  at        INTEGER,
  probe_at  INTEGER,
  CHECK (fault IS NULL OR paused_by IS NULL),
  CHECK ((at IS NOT NULL) = (fault IS NOT NULL OR paused_by IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Append-only: hash = SHA-256 over the row before and this one.
CREATE TABLE audit (
  seq     INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  by      TEXT    NOT NULL,
  action  TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  reason  TEXT    NOT NULL,
  detail  TEXT,                                   -- JSON
  hash    BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
