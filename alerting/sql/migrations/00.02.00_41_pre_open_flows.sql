-- What is published for everybody: figures of at least ten objects each. They are anonymous, so they stay; they never change, so that
-- nobody learns a small number from a correction.

-- Where the next interval begins.
CREATE TABLE open_flow_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    next_time timestamptz NOT NULL
);

CREATE TABLE open_flow_releases (
    start_time timestamptz PRIMARY KEY,
    length interval NOT NULL,
    release_time timestamptz NOT NULL
);

CREATE TABLE open_flows (
    place text NOT NULL,
    start_time timestamptz NOT NULL REFERENCES open_flow_releases,
    category smallint NOT NULL CHECK (category BETWEEN 1 AND 3),
    length interval NOT NULL,
    -- The last guard: no figure of fewer than ten can be written, whatever the code does.
    counted integer NOT NULL CHECK (counted > 10 AND counted % 10 = 5),
    uncertainty double precision NOT NULL,
    left_to_right integer CHECK (left_to_right > 10 AND left_to_right % 10 = 5),
    right_to_left integer CHECK (right_to_left > 10 AND right_to_left % 10 = 5),
    speed double precision,
    density double precision,
    coverage double precision NOT NULL,
    PRIMARY KEY (place, start_time, category)
);

CREATE FUNCTION refuse_open_flow_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was published is never changed';
END
$$;
CREATE TRIGGER open_flows_frozen BEFORE UPDATE ON open_flows FOR EACH ROW EXECUTE FUNCTION refuse_open_flow_change();
CREATE TRIGGER open_flow_releases_frozen BEFORE UPDATE ON open_flow_releases FOR EACH ROW EXECUTE FUNCTION refuse_open_flow_change();
