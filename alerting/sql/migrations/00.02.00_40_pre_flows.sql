-- Counts of people and vehicles by the minute. They are close to single persons, so they go seven days after their capture.

-- Which reports were counted: one that comes again changes nothing.
CREATE TABLE flow_reports (
    optic text NOT NULL,
    start_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (optic, start_time)
);
CREATE INDEX flow_reports_expiry ON flow_reports (expire_time);

-- How much of each minute an optic was analysed. A place without a count in such a minute was seen to be empty; without a row here
-- nothing is known.
CREATE TABLE flow_coverage (
    optic text NOT NULL,
    minute timestamptz NOT NULL,
    analysed_seconds double precision NOT NULL,
    light_seconds double precision NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (optic, minute)
);
CREATE INDEX flow_coverage_expiry ON flow_coverage (expire_time);

-- Crossings of lines and presence in zones.
CREATE TABLE flow_minutes (
    optic text NOT NULL,
    place text NOT NULL,
    object_class smallint NOT NULL,
    minute timestamptz NOT NULL,
    left_to_right integer NOT NULL,
    right_to_left integer NOT NULL,
    measured integer NOT NULL,
    speed_sum double precision NOT NULL,
    present_seconds double precision NOT NULL,
    maximum_present integer NOT NULL,
    density_seconds double precision NOT NULL,
    maximum_density double precision NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (place, minute, object_class)
);
CREATE INDEX flow_minutes_expiry ON flow_minutes (expire_time);
CREATE INDEX flow_minutes_time ON flow_minutes USING brin (minute) WITH (pages_per_range = 16);

-- Turning movements: from one line to the next.
CREATE TABLE flow_turns (
    optic text NOT NULL,
    from_line text NOT NULL,
    to_line text NOT NULL,
    object_class smallint NOT NULL,
    minute timestamptz NOT NULL,
    turned integer NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (from_line, minute, object_class, to_line)
);
CREATE INDEX flow_turns_expiry ON flow_turns (expire_time);

-- Conflicts that did not become accidents.
CREATE TABLE flow_near_misses (
    optic text NOT NULL,
    zone text NOT NULL,
    minute timestamptz NOT NULL,
    time_to_collision integer NOT NULL,
    post_encroachment integer NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (zone, minute)
);
CREATE INDEX flow_near_misses_expiry ON flow_near_misses (expire_time);

-- Every line and zone that counts: what the registry says of it, and the ground that the counts imply. No personal data.
CREATE TABLE flow_places (
    place text PRIMARY KEY,
    optic text NOT NULL,
    site text NOT NULL,
    -- Known from the registry, not only from what was counted.
    registered boolean NOT NULL,
    display_name text NOT NULL DEFAULT '',
    site_display_name text NOT NULL DEFAULT '',
    latitude double precision,
    longitude double precision,
    area_square_metres double precision
);
CREATE INDEX flow_places_site ON flow_places (site);
