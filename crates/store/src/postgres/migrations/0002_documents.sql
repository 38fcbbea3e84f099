-- Papers that came of a delivery, such as labels: kept for people, apart from all that is read while work is done.
CREATE TABLE documents (
    delivery uuid PRIMARY KEY,
    at bigint NOT NULL,
    sealed bytea NOT NULL                    -- all of the delivery's documents as JSON
);
ALTER TABLE documents ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX documents_by_time ON documents (at);
