-- Times are microseconds since 1970, sealed columns are compressed already and maybe encrypted: PostgreSQL is not to try again.
-- Indexes over hot tables are partial where they can be: what has ended costs nothing when work is looked for.
-- No foreign keys: their checks would lock and read a row for each one written, and only pruning deletes.
-- Keys compare byte by byte, whatever the database's collation.

CREATE SEQUENCE events_seq;
CREATE TABLE events (
    seq bigint PRIMARY KEY DEFAULT nextval('events_seq'),                  -- the order of arrival
    id uuid NOT NULL UNIQUE,
    connection text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    cause text COLLATE "C" NOT NULL,
    dedupe uuid NOT NULL UNIQUE,             -- hash of the connection and its dedupe key
    received_at bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    reason text,
    duplicates integer NOT NULL DEFAULT 0,
    mentions text                            -- what `mentions` has of this event, so that pruning needs no index by event
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE INDEX events_by_state ON events (state, received_at, seq);
CREATE INDEX events_repeated ON events (duplicates) WHERE duplicates > 0;

-- Apart from `events`, so that a change of state does not write the body again.
CREATE TABLE contents (
    event bigint PRIMARY KEY,
    sealed bytea NOT NULL                    -- headers and body
);
ALTER TABLE contents ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE mentions (
    kind text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    event bigint NOT NULL,
    PRIMARY KEY (kind, value, event)
);

CREATE SEQUENCE deliveries_seq;
CREATE TABLE deliveries (
    seq bigint PRIMARY KEY DEFAULT nextval('deliveries_seq'),
    id uuid NOT NULL UNIQUE,
    event bigint NOT NULL,
    change integer NOT NULL,
    flow text COLLATE "C" NOT NULL,
    from_connection text COLLATE "C" NOT NULL,
    to_connection text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    entity_kind text COLLATE "C" NOT NULL,
    entity text COLLATE "C" NOT NULL,
    lane_kind text COLLATE "C" NOT NULL,
    lane text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    cause text COLLATE "C" NOT NULL,
    label text,
    state text COLLATE "C" NOT NULL,
    at bigint,                               -- not before, lease until, or look up at
    who text COLLATE "C",                    -- node, guard, survivor, error class or person
    why text,
    place smallint,                          -- 1 at the head of its lane, 2 behind it, null for an end
    wake_at bigint,                          -- when it is announced (again); null when nothing happens by time
    first_due_at bigint,                     -- set by the first claim
    attempts integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    UNIQUE (event, change, flow)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
-- The database itself refuses two at the head of one lane.
CREATE UNIQUE INDEX deliveries_at_head ON deliveries (to_connection, from_connection, lane_kind, lane) WHERE place = 1;
CREATE INDEX deliveries_behind ON deliveries (to_connection, from_connection, lane_kind, lane, version, event, seq) WHERE place = 2;
CREATE INDEX deliveries_to_wake ON deliveries (to_connection, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX deliveries_due ON deliveries (to_connection, flow, action, at) WHERE state = 'due';
CREATE INDEX deliveries_leased ON deliveries (at) WHERE state = 'running';
-- Nearly all deliveries pass through due and running: these are counted by their own indexes.
CREATE INDEX deliveries_by_state ON deliveries (state, seq) WHERE state NOT IN ('due', 'running');

CREATE TABLE payloads (
    delivery bigint PRIMARY KEY,
    sealed bytea NOT NULL                    -- the action as JSON
);
ALTER TABLE payloads ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE attempts (
    delivery bigint NOT NULL,
    number integer NOT NULL,
    step text COLLATE "C" NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    class text COLLATE "C",
    message text NOT NULL,
    sealed bytea,                            -- the exchanges as JSON
    PRIMARY KEY (delivery, number)
);
ALTER TABLE attempts ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- The version guard: what was last applied to a lane by each kind of action.
CREATE TABLE applied (
    lane text COLLATE "C" NOT NULL,
    lane_kind text COLLATE "C" NOT NULL,
    to_connection text COLLATE "C" NOT NULL,
    from_connection text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (lane, lane_kind, to_connection, from_connection, action)
) WITH (fillfactor = 80);

-- The identity map: this record here is that record there.
CREATE TABLE links (
    kind text COLLATE "C" NOT NULL,
    from_connection text COLLATE "C" NOT NULL,
    from_id text COLLATE "C" NOT NULL,
    to_connection text COLLATE "C" NOT NULL,
    to_id text COLLATE "C" NOT NULL,
    to_number text,
    number_key text COLLATE "C",             -- the number as people type it
    PRIMARY KEY (from_id, kind, from_connection, to_connection),
    UNIQUE (to_id, kind, to_connection, from_connection)
);
CREATE INDEX links_by_number ON links (number_key, kind) WHERE number_key IS NOT NULL;

CREATE TABLE rejected (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection text NOT NULL,
    at bigint NOT NULL,
    reason text NOT NULL,
    status integer NOT NULL,
    size bigint NOT NULL
);

CREATE TABLE cursors (
    connection text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    cursor text NOT NULL,
    PRIMARY KEY (connection, kind)
);

CREATE TABLE duties (
    duty text COLLATE "C" PRIMARY KEY,
    node text COLLATE "C" NOT NULL,
    until bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE settings (
    key text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
) WITH (fillfactor = 50);
