-- Events, the alerts that they raised, and what people did with them.

-- One row. Whoever changes an alert locks it first, so that the changes are committed in the order of their numbers: a reader who
-- has seen the head has seen everything before it.
CREATE TABLE change_sequence (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch uuid NOT NULL DEFAULT gen_random_uuid(),
    floor bigint NOT NULL DEFAULT 0,
    head bigint NOT NULL DEFAULT 0
);
INSERT INTO change_sequence DEFAULT VALUES;

CREATE TABLE alerts (
    alert_id text PRIMARY KEY,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 6),
    priority smallint NOT NULL CHECK (priority BETWEEN 1 AND 3),
    optic text NOT NULL,
    site text NOT NULL,
    rule text NOT NULL,
    place text NOT NULL,
    summary text NOT NULL,
    event bytea NOT NULL,
    event_count integer NOT NULL CHECK (event_count > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    capture_time timestamptz NOT NULL,
    last_capture_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    assessment smallint NOT NULL CHECK (assessment BETWEEN 0 AND 3),
    recipients text[] NOT NULL,
    change bigint NOT NULL UNIQUE
);
CREATE INDEX alerts_newest ON alerts (create_time DESC, alert_id DESC);
CREATE INDEX alerts_open ON alerts (rule, place, last_capture_time) WHERE state <> 5;
CREATE INDEX alerts_expiry ON alerts (expire_time);
CREATE INDEX alerts_recipients ON alerts USING gin (recipients);

CREATE TABLE alert_transitions (
    alert_id text NOT NULL REFERENCES alerts ON DELETE CASCADE,
    ordinal integer NOT NULL,
    state smallint NOT NULL,
    actor text NOT NULL,
    time timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (alert_id, ordinal)
);

-- Answers to requests with an id (AIP-155); they die with the alert that they show.
CREATE TABLE alert_requests (
    actor text NOT NULL,
    request_id uuid NOT NULL,
    alert_id text NOT NULL REFERENCES alerts ON DELETE CASCADE,
    fingerprint bytea NOT NULL,
    response bytea NOT NULL,
    PRIMARY KEY (actor, request_id)
);
CREATE INDEX alert_requests_alert ON alert_requests (alert_id);

-- Every event, of shadow rules too; alert_id is set on those that raised an alert or joined one.
CREATE TABLE events (
    event_id uuid PRIMARY KEY,
    alert_id text,
    live boolean NOT NULL,
    optic text NOT NULL,
    site text NOT NULL,
    rule text NOT NULL,
    capture_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX events_expiry ON events (expire_time);
