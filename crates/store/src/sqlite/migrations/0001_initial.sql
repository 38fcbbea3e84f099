-- Times are microseconds since 1970, ids are the sixteen bytes of a UUID, sealed columns are compressed and maybe encrypted.
-- Indexes over hot tables are partial where they can be: what has ended costs nothing when work is looked for.

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,                 -- the order of arrival
    id BLOB NOT NULL UNIQUE,
    connection TEXT NOT NULL,
    topic TEXT NOT NULL,
    cause TEXT NOT NULL,
    dedupe BLOB NOT NULL UNIQUE,             -- hash of the connection and its dedupe key
    received_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    duplicates INTEGER NOT NULL DEFAULT 0,
    mentions TEXT                            -- what `mentions` has of this event, so that pruning needs no index by event
) STRICT;
CREATE INDEX events_by_state ON events (state, received_at);
CREATE INDEX events_repeated ON events (duplicates) WHERE duplicates > 0;

-- Apart from `events`, so that a change of state does not write the body again.
CREATE TABLE contents (
    event INTEGER PRIMARY KEY REFERENCES events ON DELETE CASCADE,
    sealed BLOB NOT NULL                     -- headers and body
) STRICT;

CREATE TABLE mentions (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (kind, value, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    change INTEGER NOT NULL,
    flow TEXT NOT NULL,
    from_connection TEXT NOT NULL,
    to_connection TEXT NOT NULL,
    action TEXT NOT NULL,
    entity_kind TEXT NOT NULL,
    entity TEXT NOT NULL,
    lane_kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    version INTEGER NOT NULL,
    cause TEXT NOT NULL,
    label TEXT,
    state TEXT NOT NULL,
    at INTEGER,                              -- not before, lease until, or look up at
    who TEXT,                                -- node, guard, survivor, error class or person
    why TEXT,
    place INTEGER,                           -- 1 at the head of its lane, 2 behind it, null for an end
    wake_at INTEGER,                         -- when it is announced (again); null when nothing happens by time
    first_due_at INTEGER,                    -- set by the first claim
    attempts INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (event, change, flow)
) STRICT;
-- The database itself refuses two at the head of one lane.
CREATE UNIQUE INDEX deliveries_at_head ON deliveries (to_connection, from_connection, lane_kind, lane) WHERE place = 1;
CREATE INDEX deliveries_behind ON deliveries (to_connection, from_connection, lane_kind, lane, version, event) WHERE place = 2;
CREATE INDEX deliveries_to_wake ON deliveries (to_connection, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX deliveries_due ON deliveries (to_connection, flow, action, at) WHERE state = 'due';
CREATE INDEX deliveries_leased ON deliveries (at) WHERE state = 'running';
-- Nearly all deliveries pass through due and running: these are counted by their own indexes.
CREATE INDEX deliveries_by_state ON deliveries (state) WHERE state NOT IN ('due', 'running');

CREATE TABLE payloads (
    delivery INTEGER PRIMARY KEY REFERENCES deliveries ON DELETE CASCADE,
    sealed BLOB NOT NULL                     -- the action as JSON
) STRICT;

CREATE TABLE attempts (
    delivery INTEGER NOT NULL REFERENCES deliveries ON DELETE CASCADE,
    number INTEGER NOT NULL,
    step TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    class TEXT,
    message TEXT NOT NULL,
    sealed BLOB,                             -- the exchanges as JSON
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

-- The version guard: what was last applied to a lane by each kind of action.
CREATE TABLE applied (
    lane TEXT NOT NULL,
    lane_kind TEXT NOT NULL,
    to_connection TEXT NOT NULL,
    from_connection TEXT NOT NULL,
    action TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (lane, lane_kind, to_connection, from_connection, action)
) STRICT, WITHOUT ROWID;

-- The identity map: this record here is that record there.
CREATE TABLE links (
    kind TEXT NOT NULL,
    from_connection TEXT NOT NULL,
    from_id TEXT NOT NULL,
    to_connection TEXT NOT NULL,
    to_id TEXT NOT NULL,
    to_number TEXT,
    number_key TEXT,                         -- the number as people type it
    PRIMARY KEY (from_id, kind, from_connection, to_connection),
    UNIQUE (to_id, kind, to_connection, from_connection)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_number ON links (number_key, kind) WHERE number_key IS NOT NULL;

CREATE TABLE rejected (
    seq INTEGER PRIMARY KEY,
    connection TEXT NOT NULL,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER NOT NULL,
    size INTEGER NOT NULL
) STRICT;

CREATE TABLE cursors (
    connection TEXT NOT NULL,
    kind TEXT NOT NULL,
    cursor TEXT NOT NULL,
    PRIMARY KEY (connection, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE duties (
    duty TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
