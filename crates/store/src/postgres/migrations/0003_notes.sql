-- What events said of something, by the latest word: payments to be matched, parcels under way.
CREATE TABLE notes (
    book text COLLATE "C" NOT NULL,          -- who keeps it
    connection text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,                 -- of what was said; an older word changes nothing
    at bigint NOT NULL,                      -- when it happened
    look_at bigint,                          -- when it is to be looked at again, if ever
    sealed bytea NOT NULL,
    PRIMARY KEY (book, connection, key)
);
CREATE INDEX notes_to_look_at ON notes (book, connection, look_at) WHERE look_at IS NOT NULL;
CREATE INDEX notes_by_time ON notes (at);
