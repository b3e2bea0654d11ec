-- Searches for matches to a testimony, and what they found: personal data that goes with the video, or sooner.
CREATE TABLE searches (
    search_id text PRIMARY KEY,
    actor text NOT NULL,
    person text NOT NULL,
    case_reference text NOT NULL,
    fingerprint bytea NOT NULL,
    create_time timestamptz NOT NULL,
    -- Until when its pages can be read; none: it found nothing yet, or was refused.
    read_until timestamptz,
    total integer NOT NULL DEFAULT 0,
    -- The serialised argo.alerting.v1.SearchObservationsResponse without matches; opaque here.
    summary bytea
);
CREATE INDEX searches_person ON searches (person, case_reference, create_time);
CREATE INDEX searches_time ON searches (create_time);

CREATE TABLE search_results (
    search_id text NOT NULL REFERENCES searches ON DELETE CASCADE,
    rank integer NOT NULL,
    expire_time timestamptz NOT NULL,
    -- A serialised argo.alerting.v1.Match or Chain; opaque here.
    payload bytea NOT NULL,
    PRIMARY KEY (search_id, rank)
);
CREATE INDEX search_results_expiry ON search_results (expire_time);

-- A search asks which rules fired on what an optic saw at a time.
CREATE INDEX events_optic ON events (optic, capture_time);
