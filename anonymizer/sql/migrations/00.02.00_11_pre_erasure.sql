-- The days' keys, and how long the segments that they seal may live: a key dies with the longest term of its day.
CREATE TABLE data_keys (
    optic text NOT NULL,
    day date NOT NULL,
    retention_seconds integer NOT NULL CHECK (retention_seconds BETWEEN 1 AND 604800),
    PRIMARY KEY (optic, day)
);

INSERT INTO data_keys (optic, day, retention_seconds)
SELECT optic, (start_time AT TIME ZONE 'UTC')::date, max(retention_seconds) FROM segments GROUP BY 1, 2;

-- What was erased, counted in the transaction that takes it out of the index, until it stands in a signed report.
CREATE TABLE erasures (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    erase_time timestamptz NOT NULL,
    optic text NOT NULL,
    segments integer NOT NULL,
    bytes bigint NOT NULL,
    keys integer NOT NULL,
    first_capture timestamptz,
    last_capture timestamptz,
    -- The day of the report that counts it; null: none does yet.
    report date
);

-- The reports that are in the store.
CREATE TABLE erasure_reports (
    day date PRIMARY KEY,
    sha256 bytea NOT NULL
);
