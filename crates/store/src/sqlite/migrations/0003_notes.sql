-- What events said of something, by the latest word: payments to be matched, parcels under way.
CREATE TABLE notes (
    book TEXT NOT NULL,                      -- who keeps it
    connection TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,                -- of what was said; an older word changes nothing
    at INTEGER NOT NULL,                     -- when it happened
    look_at INTEGER,                         -- when it is to be looked at again, if ever
    sealed BLOB NOT NULL,
    PRIMARY KEY (book, connection, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX notes_to_look_at ON notes (book, connection, look_at) WHERE look_at IS NOT NULL;
CREATE INDEX notes_by_time ON notes (at);
