-- What is recorded: one row per segment whose bytes are safe in the store. The store is the truth, this is its index: it is made
-- anew from the names in the store where rows are missing.

CREATE TABLE segments (
    optic text NOT NULL,
    -- Capture time of the first picture, and how long it is until that of the last.
    start_time timestamptz NOT NULL,
    milliseconds integer NOT NULL CHECK (milliseconds >= 0),
    retention_seconds integer NOT NULL CHECK (retention_seconds BETWEEN 1 AND 604800),
    bytes bigint NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (optic, start_time, milliseconds, retention_seconds)
);

CREATE INDEX segments_by_term ON segments (expire_time, optic, start_time);
