-- What tracks did, day by day of their capture, with what a search asks for in columns of its own.

-- Where an optic stood: a mobile one has a row per place.
CREATE TABLE observers (
    observer integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    optic text NOT NULL,
    site text NOT NULL,
    UNIQUE (optic, site)
);
CREATE INDEX observers_site ON observers (site);

-- Finished tracks, and those that fell silent. One partition per day, in UTC, so that a day goes whole.
CREATE TABLE observation_days (
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    track bigint NOT NULL,
    observer integer NOT NULL,
    -- Seconds that it stood still at most, as its path shows; none: not known.
    still_seconds real,
    -- Degrees clockwise from north: from its first place to its last, and where it went at the end; none: not known.
    heading real,
    leaving real,
    -- Metres per second, never of a person; none: not known.
    speed_low real,
    speed_high real,
    -- Of a vehicle: how sure its colour is.
    colour_confidence real NOT NULL,
    -- Its first and its last place in the picture.
    from_x real,
    from_y real,
    to_x real,
    to_y real,
    object_class smallint NOT NULL,
    colour smallint NOT NULL,
    finished boolean NOT NULL,
    -- zones/{zone} that it was in, lines/{line} that it crossed; of its own optic.
    places text[] NOT NULL,
    payload bytea NOT NULL,
    UNIQUE (observer, start_time, track)
) PARTITION BY RANGE (start_time);
-- Rows lie in the order of their arrival, nearly that of their expiry: a summary per block range finds what is due.
CREATE INDEX observation_days_expiry ON observation_days USING brin (expire_time) WITH (pages_per_range = 32);
-- Few stay longer than ten minutes. So a search looks back over ten minutes in the other index, and over days in this one.
CREATE INDEX observation_days_long ON observation_days (observer, start_time) WHERE end_time - start_time > '600 s'::interval;

-- Tracks that live. They are written again every few seconds, which is no work for a table of millions.
CREATE TABLE running_observations (
    LIKE observation_days,
    receive_time timestamptz NOT NULL,
    PRIMARY KEY (observer, start_time, track)
);
CREATE INDEX running_observations_expiry ON running_observations (expire_time);
CREATE INDEX running_observations_receipt ON running_observations (receive_time);

-- What a legal hold keeps beyond its time.
CREATE TABLE held_observations (LIKE observation_days, PRIMARY KEY (observer, start_time, track));

-- What is held, as the registry said last.
CREATE TABLE held_intervals (
    optic text NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (optic, start_time, end_time, expire_time)
);
CREATE TABLE holds_read (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    read_time timestamptz NOT NULL
);

CREATE FUNCTION is_held(the_optic text, since timestamptz, until timestamptz, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM held_intervals AS held
        WHERE held.optic = the_optic AND held.start_time <= until AND since < held.end_time AND at < held.expire_time
    )
$$;

-- Makes the partition of a day if it is missing. It is made beside the others and then attached, which does not wait for readers.
CREATE FUNCTION ensure_observation_day(the_day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    partition text := 'observation_day_' || to_char(the_day, 'YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('observation_days/' || current_schema(), 0));
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE observation_days INCLUDING ALL)', partition);
    EXECUTE format(
        'ALTER TABLE observation_days ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition,
        the_day::timestamp AT TIME ZONE 'UTC', (the_day + 1)::timestamp AT TIME ZONE 'UTC'
    );
    RETURN true;
END $$;
