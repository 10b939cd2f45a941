-- Times are unix milliseconds, amounts minor units (sen).

CREATE TABLE meta (
  id               INTEGER PRIMARY KEY CHECK (id = 1),
  store_id         TEXT    NOT NULL,              -- which store this is; the side file names it too
  commit_seq       INTEGER NOT NULL,              -- grows with every commit; the side file holds the last one
  reconcile_since  INTEGER,                       -- set: the store may not know everything that was done
  reconcile_reason TEXT,
  reconcile_known_until INTEGER,                  -- until when it knows every key
  restored_at      INTEGER,                       -- when it last came to be so; stays when that was ended
  audit_rows       INTEGER NOT NULL,
  audit_hash       BLOB    NOT NULL CHECK (length(audit_hash) = 32)
) STRICT;

INSERT INTO meta (id, store_id, commit_seq, audit_rows, audit_hash)
VALUES (1, lower(hex(randomblob(8))), 0, 0, zeroblob(32));

-- A job is three tables, by how often its parts change: what was asked, written once; where it stands, changed with every
-- record and therefore narrow; what happened, appended. Most of what a commit costs is the pages it touches.
-- Long after its end what was asked and what happened go, and a row in tombstones says what is left of them.

-- What was asked. Numbered in the order of arrival: rows in flight stand side by side, whatever the keys look like.
CREATE TABLE job_requests (
  id                   INTEGER PRIMARY KEY,
  customer_number      TEXT    NOT NULL,
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
  first_engine         TEXT    NOT NULL           -- what the state machine knew at first, as JSON
) STRICT;

-- What of a request was before an operator amended it, with the version it had then.
CREATE TABLE amendments (
  job_id            INTEGER NOT NULL,
  version           INTEGER NOT NULL,
  at                INTEGER NOT NULL,
  customer_name     TEXT,
  notes             TEXT,
  beneficiary_email TEXT,
  not_after         INTEGER,
  PRIMARY KEY (job_id, version)
) STRICT, WITHOUT ROWID;

-- Its key and where it stands, and what of the request the index below needs: what stays.
CREATE TABLE job_states (
  job_id           INTEGER PRIMARY KEY,
  partner_reference_no TEXT NOT NULL UNIQUE,      -- the idempotency key
  provider         TEXT    NOT NULL,
  amount           INTEGER NOT NULL CHECK (amount >= 0),
  accepted_at      INTEGER NOT NULL,
  state            TEXT    NOT NULL,
  version          INTEGER NOT NULL,              -- the fence: grows with every change
  due_at           INTEGER,                       -- NULL while it is driven or rests
  finished_at      INTEGER,
  attempts         INTEGER NOT NULL DEFAULT 0,    -- requests that can move money
  requests         INTEGER NOT NULL DEFAULT 0,    -- signed requests of any service
  record_id        INTEGER,                       -- its last record
  outcome_id       INTEGER,                       -- its terminal outcome
  reference_no     TEXT,
  response_code    TEXT,
  response_message TEXT,
  fee_amount       INTEGER,
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
CREATE INDEX jobs_open ON job_states (provider, due_at, state, accepted_at, amount, finished_at)
  WHERE finished_at IS NULL;

-- What happened: a row a record, never changed, in the order of the commits. A job's records are read backwards, from
-- job_states.record_id on.
CREATE TABLE job_records (
  record_no INTEGER PRIMARY KEY,
  job_id    INTEGER NOT NULL,
  previous  INTEGER,                              -- the job's record before
  engine    TEXT    NOT NULL,                     -- what the state machine knew then, as JSON
  happened  TEXT    NOT NULL                      -- history entries, requests and their ends, as JSON
) STRICT;

-- What is left of a job's request and past: long after its end, instead of its rows in job_requests and job_records.
CREATE TABLE tombstones (
  job_id               INTEGER PRIMARY KEY,
  shrunk_at            INTEGER NOT NULL,
  customer_digest      BLOB    NOT NULL CHECK (length(customer_digest) = 16),
  beneficiary_provider TEXT,
  reason               TEXT,                      -- of rejected and discarded
  money_state          TEXT    NOT NULL
) STRICT;

-- What was asked and where it stands; for reading.
CREATE VIEW jobs AS
  SELECT s.job_id AS id, s.version, s.partner_reference_no, s.provider, r.customer_number, s.amount, r.customer_name,
    r.notes, iif(t.job_id IS NULL, r.beneficiary_provider, t.beneficiary_provider) AS beneficiary_provider,
    r.beneficiary_email, r.not_after, r.metadata, r.correlation_id, r.message_id, r.traceparent, r.tracestate,
    r.first_engine, s.record_id, e.engine, s.accepted_at, s.state, s.due_at, s.finished_at, s.reference_no,
    s.response_code, s.response_message, s.fee_amount, s.attempts, s.requests, s.outcome_id, t.shrunk_at, t.reason,
    t.money_state, t.customer_digest
  FROM job_states s LEFT JOIN job_requests r ON r.id = s.job_id LEFT JOIN job_records e ON e.record_no = s.record_id
    LEFT JOIN tombstones t ON t.job_id = s.job_id;

-- job_states, job_records, outcomes and outbox name rows that the same transaction has just read or written: no REFERENCES
-- to look them up again.

CREATE TABLE outcomes (
  id         INTEGER PRIMARY KEY,
  job_id     INTEGER,        -- NULL: of a refused message
  event_id   TEXT    NOT NULL,
  event_type TEXT    NOT NULL,
  terminal   INTEGER NOT NULL CHECK (terminal IN (0, 1)),
  body       BLOB    NOT NULL,
  headers    TEXT    NOT NULL,                    -- JSON
  created_at INTEGER NOT NULL
) STRICT;

-- A job's terminal outcome is found by job_states.outcome_id; this finds the rest, which most jobs do not have.
CREATE INDEX outcomes_by_job ON outcomes (job_id) WHERE terminal = 0 AND job_id IS NOT NULL;

-- Which outcomes wait: apart from them, so that to mark one does not rewrite its body.
CREATE TABLE outbox (
  outcome_id   INTEGER PRIMARY KEY,
  queued_at    INTEGER NOT NULL,                  -- when it was last put into the outbox
  next_at      INTEGER NOT NULL,                  -- not published before
  postponed    INTEGER NOT NULL DEFAULT 0,
  published_at INTEGER                            -- NULL: waits
) STRICT;

CREATE INDEX outbox_unpublished ON outbox (next_at, queued_at, outcome_id, published_at) WHERE published_at IS NULL;

CREATE TABLE dead_letters (
  seq               INTEGER PRIMARY KEY,
  id                TEXT    NOT NULL UNIQUE,      -- ordered by time
  job_id            INTEGER REFERENCES job_states (job_id), -- NULL: a refused message
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
-- For a purge.
CREATE INDEX dead_letters_closed ON dead_letters (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX dead_letters_by_job ON dead_letters (job_id) WHERE job_id IS NOT NULL;
-- Which keys refused messages claim: none of these is forgotten while its message can be let in again.
CREATE INDEX dead_letters_by_claim ON dead_letters (claimed_reference, closed_as) WHERE job_id IS NULL;

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

-- Replay plans: dead letters that an operator lets go, as they were shown, and what came of each.
CREATE TABLE plans (
  id               INTEGER PRIMARY KEY,
  version          INTEGER NOT NULL,              -- the fence: grows with every change
  state            TEXT    NOT NULL,
  by               TEXT    NOT NULL,
  reason           TEXT    NOT NULL,
  created_at       INTEGER NOT NULL,
  finished_at      INTEGER,
  pause_cause      TEXT,
  pause_detail     TEXT,
  paused_at        INTEGER,
  interval_us      INTEGER NOT NULL CHECK (interval_us > 0), -- between two items
  next_at_us       INTEGER NOT NULL,              -- the next item not before; microseconds
  canary           INTEGER NOT NULL,              -- so many have to succeed before the rest; 0: none
  canary_from      INTEGER NOT NULL,              -- items let go before the canaries
  canary_passed    INTEGER NOT NULL CHECK (canary_passed IN (0, 1)),
  max_failed_pct   INTEGER NOT NULL,
  max_amount       TEXT,                          -- minor units
  ended_before     INTEGER NOT NULL,              -- ended and failed before it was last resumed
  failed_before    INTEGER NOT NULL,
  known            TEXT    NOT NULL,              -- reasons and codes of the set, as JSON
  items            INTEGER NOT NULL,
  waiting          INTEGER NOT NULL,
  refused          INTEGER NOT NULL,
  skipped          INTEGER NOT NULL,
  replayed         INTEGER NOT NULL,              -- let go and not at rest yet
  succeeded        INTEGER NOT NULL,
  rejected         INTEGER NOT NULL,
  dead             INTEGER NOT NULL,
  discarded        INTEGER NOT NULL,
  expired          INTEGER NOT NULL,              -- ended unpaid as they were shown to
  amount           TEXT    NOT NULL,              -- of all but refused and skipped ones; minor units
  released         TEXT    NOT NULL,              -- of what was let go
  CHECK ((state = 'paused') = (pause_cause IS NOT NULL)),
  CHECK ((state = 'done' OR state = 'cancelled') = (finished_at IS NOT NULL))
) STRICT;

-- What runs, stands, or was cancelled with items under way.
CREATE INDEX plans_open ON plans (id) WHERE finished_at IS NULL OR (state = 'cancelled' AND replayed > 0);

CREATE TABLE plan_items (
  plan_id        INTEGER NOT NULL,
  item_no        INTEGER NOT NULL,                -- from 1, in the order of the dead letters
  dead_letter_id TEXT    NOT NULL,
  job_id         INTEGER,                         -- NULL: a message that is not a job yet
  reference      TEXT,
  amount         INTEGER,
  money_state    TEXT    NOT NULL,
  expires        INTEGER NOT NULL CHECK (expires IN (0, 1)), -- shown as ending unpaid, for its notAfter has passed
  state          TEXT    NOT NULL,
  detail         TEXT,
  at             INTEGER NOT NULL,
  PRIMARY KEY (plan_id, item_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX plan_items_waiting ON plan_items (dead_letter_id, plan_id) WHERE state = 'waiting';
CREATE INDEX plan_items_open ON plan_items (plan_id, state, item_no) WHERE state = 'waiting' OR state = 'replayed';
