-- What tracks did. One row per track of one optic; it grows while the track lives.
CREATE TABLE observations (
    optic text NOT NULL,
    track bigint NOT NULL,
    start_time timestamptz NOT NULL,
    site text NOT NULL,
    object_class smallint NOT NULL,
    end_time timestamptz NOT NULL,
    finished boolean NOT NULL,
    expire_time timestamptz NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (optic, track, start_time)
);
CREATE INDEX observations_expiry ON observations (expire_time);

-- The coverage ledger: what each optic's gateway reported, interval by interval.
CREATE TABLE coverage_reports (
    report_id uuid PRIMARY KEY,
    optic text NOT NULL,
    site text NOT NULL,
    replica text NOT NULL,
    start_time timestamptz NOT NULL,
    length interval NOT NULL,
    received_seconds double precision NOT NULL,
    analysed_seconds double precision NOT NULL,
    masked_seconds double precision NOT NULL,
    lost_seconds double precision NOT NULL,
    elapsed_seconds double precision NOT NULL,
    impairments smallint[] NOT NULL,
    expire_time timestamptz NOT NULL
);
CREATE INDEX coverage_reports_optic ON coverage_reports (optic, start_time);
CREATE INDEX coverage_reports_expiry ON coverage_reports (expire_time);

CREATE TABLE coverage_gaps (
    report_id uuid NOT NULL REFERENCES coverage_reports ON DELETE CASCADE,
    ordinal integer NOT NULL,
    start_time timestamptz NOT NULL,
    duration interval NOT NULL,
    kind smallint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (report_id, ordinal)
);

-- Sign-in links that were used, by the digest of their secret: each opens the console once.
CREATE TABLE console_sign_ins (
    secret_digest bytea PRIMARY KEY,
    use_time timestamptz NOT NULL
);
