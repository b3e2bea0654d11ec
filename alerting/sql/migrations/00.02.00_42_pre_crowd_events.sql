-- Large events, as they were planned.
CREATE TABLE crowd_events (
    crowd_event_id text PRIMARY KEY,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 2),
    definition bytea NOT NULL,
    version bigint NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    close_time timestamptz
);
CREATE INDEX crowd_events_newest ON crowd_events (create_time DESC, crowd_event_id DESC);

-- How each sector of an open event is, and what was told of it. It goes when the event is closed.
CREATE TABLE crowd_event_sectors (
    crowd_event_id text NOT NULL REFERENCES crowd_events ON DELETE CASCADE,
    sector_id text NOT NULL,
    colour smallint NOT NULL,
    told_topics text[] NOT NULL,
    told_times timestamptz[] NOT NULL,
    status bytea NOT NULL,
    assess_time timestamptz NOT NULL,
    PRIMARY KEY (crowd_event_id, sector_id)
);
