-- Papers that came of a delivery, such as labels: kept for people, apart from all that is read while work is done.
CREATE TABLE documents (
    delivery BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    sealed BLOB NOT NULL                     -- all of the delivery's documents as JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_by_time ON documents (at);
