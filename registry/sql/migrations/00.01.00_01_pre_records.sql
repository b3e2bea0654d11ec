-- The records. A row is the canonical JSON form of its message, one column per field; `version` and the times are kept
-- by triggers, so that a change made by hand is numbered and remembered too.

-- The number of the last change. Every writing transaction locks this row first, so that changes commit in the order of
-- their numbers and a reader who has seen number n will never find a smaller one later.
CREATE TABLE change_clock (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint NOT NULL DEFAULT 0,
    -- Signs page tokens; the same for every replica of the registry.
    secret bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
);
INSERT INTO change_clock DEFAULT VALUES;

-- Every version of every record: the history, and what watches resume from.
CREATE TABLE change (
    sequence bigint PRIMARY KEY,
    -- sites, devices and so on, or admissions.
    collection text NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    author text,
    change_time timestamptz NOT NULL DEFAULT now(),
    -- The record after the change; null: deleted.
    record jsonb,
    device text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+')) STORED,
    optic text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+/optics/[^/]+')) STORED
);
CREATE INDEX change_of_name ON change (name, version);
CREATE INDEX change_of_optic ON change (optic, sequence) WHERE optic IS NOT NULL;
CREATE INDEX change_of_admission ON change (name, sequence) WHERE collection = 'admissions';

CREATE FUNCTION number_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.create_time := OLD.create_time;
    NEW.update_time := now();
    RETURN NEW;
END $$;

CREATE FUNCTION remember_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
BEGIN
    UPDATE change_clock SET sequence = sequence + 1 RETURNING sequence INTO number;
    IF TG_OP = 'DELETE' THEN
        INSERT INTO change (sequence, collection, name, version, author, record)
        VALUES (number, TG_TABLE_NAME, OLD.name, OLD.version + 1, current_setting('argo.author', true), NULL);
    ELSE
        INSERT INTO change (sequence, collection, name, version, author, record)
        VALUES (number, TG_TABLE_NAME, NEW.name, NEW.version, current_setting('argo.author', true), to_jsonb(NEW));
    END IF;
    PERFORM pg_notify('argo_registry', '');
    RETURN NULL;
END $$;

CREATE TABLE sites (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^sites/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    display_name text NOT NULL,
    address text,
    location_latitude double precision NOT NULL CHECK (location_latitude BETWEEN -90 AND 90),
    location_longitude double precision NOT NULL CHECK (location_longitude BETWEEN -180 AND 180),
    district text,
    lot text,
    owner text,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE devices (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^devices/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    -- See deployment_overlaps.
    number bigint GENERATED ALWAYS AS IDENTITY,
    display_name text,
    site text COLLATE "C" CONSTRAINT device_site_exists REFERENCES sites (name),
    model text,
    serial_number text,
    firmware_version text,
    -- In canonical form, so that two spellings of one address are one address.
    address text NOT NULL CONSTRAINT device_address_unique UNIQUE,
    credentials text CHECK (credentials !~ '[@:[:space:]]'),
    view text NOT NULL CHECK (view IN ('VIEW_CONTEXT', 'VIEW_OBSERVATION', 'VIEW_HYBRID')),
    mobility text NOT NULL CHECK (mobility IN ('MOBILITY_FIXED', 'MOBILITY_MOBILE')),
    legal_basis_purpose text,
    legal_basis_dpia_reference text,
    legal_basis_dpia_time timestamptz,
    legal_basis_sign_reference text,
    legal_basis_controller text,
    legal_basis_act text,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    -- A mobile device stands where its deployment puts it.
    CONSTRAINT device_mobile_has_no_site CHECK (mobility = 'MOBILITY_FIXED' OR site IS NULL),
    UNIQUE (name, mobility),
    UNIQUE (name, number)
);
CREATE INDEX device_by_site ON devices (site);

CREATE TABLE deployments (
    name text COLLATE "C" PRIMARY KEY
        CHECK (name ~ '^devices/[^/]+/deployments/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    parent text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+')) STORED
        CONSTRAINT deployment_parent_exists REFERENCES devices (name),
    site text COLLATE "C" NOT NULL CONSTRAINT deployment_site_exists REFERENCES sites (name),
    decision text NOT NULL,
    decision_time timestamptz NOT NULL,
    reason text NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    mobility text NOT NULL DEFAULT 'MOBILITY_MOBILE' CHECK (mobility = 'MOBILITY_MOBILE'),
    device_number bigint,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CHECK (start_time < end_time),
    CONSTRAINT deployment_device_is_mobile FOREIGN KEY (parent, mobility) REFERENCES devices (name, mobility),
    FOREIGN KEY (parent, device_number) REFERENCES devices (name, number),
    -- GiST compares ranges, not text, unless an extension is installed, which a service's role may not do; so the device
    -- takes part as a range of one number.
    CONSTRAINT deployment_overlaps EXCLUDE USING gist (
        int8range(device_number, device_number, '[]') WITH &&, tstzrange(start_time, end_time) WITH &&
    )
);
CREATE FUNCTION number_device() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    SELECT number INTO NEW.device_number FROM devices WHERE name = substring(NEW.name FROM '^devices/[^/]+');
    RETURN NEW;
END $$;
CREATE TRIGGER number_device BEFORE INSERT ON deployments FOR EACH ROW EXECUTE FUNCTION number_device();
CREATE INDEX deployment_by_site ON deployments (site);

CREATE TABLE optics (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^devices/[^/]+/optics/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    parent text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+')) STORED
        CONSTRAINT optic_parent_exists REFERENCES devices (name),
    display_name text,
    ingest text CHECK (ingest IN ('INGEST_RTSP', 'INGEST_WHIP')),
    main_stream_path text,
    sub_stream_path text,
    mount_height_metres double precision CHECK (mount_height_metres >= 0),
    heading_degrees double precision CHECK (heading_degrees >= 0 AND heading_degrees < 360),
    field_of_view_degrees double precision CHECK (field_of_view_degrees BETWEEN 0 AND 360),
    policy_analysed_frame_rate double precision CHECK (policy_analysed_frame_rate >= 0),
    policy_analysis_width integer CHECK (policy_analysis_width >= 0),
    -- Seconds. Never more than seven days: only a legal hold keeps longer.
    policy_retention numeric CHECK (policy_retention BETWEEN 0 AND 604800),
    policy_maximum_viewers integer CHECK (policy_maximum_viewers >= 0),
    policy_recording text,
    privacy_masks jsonb,
    calibration_points jsonb CHECK (jsonb_array_length(calibration_points) >= 4),
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CHECK (ingest = 'INGEST_WHIP' OR main_stream_path IS NOT NULL)
);
CREATE INDEX optic_by_parent ON optics (parent);

-- A device has at most eight optics. The lock on the device keeps two concurrent inserts from counting past each other.
CREATE FUNCTION limit_optics() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM devices WHERE name = NEW.parent FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM optics WHERE parent = NEW.parent) > 8 THEN
        RAISE EXCEPTION 'a device has at most 8 optics'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'optic_at_most_eight';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER limit_optics AFTER INSERT ON optics FOR EACH ROW EXECUTE FUNCTION limit_optics();

CREATE TABLE zones (
    name text COLLATE "C" PRIMARY KEY
        CHECK (name ~ '^devices/[^/]+/optics/[^/]+/zones/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    parent text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+/optics/[^/]+')) STORED
        CONSTRAINT zone_parent_exists REFERENCES optics (name),
    display_name text,
    polygon jsonb NOT NULL CHECK (jsonb_array_length(polygon -> 'points') >= 3),
    kind text,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (parent, name)
);

CREATE TABLE lines (
    name text COLLATE "C" PRIMARY KEY
        CHECK (name ~ '^devices/[^/]+/optics/[^/]+/lines/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    parent text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+/optics/[^/]+')) STORED
        CONSTRAINT line_parent_exists REFERENCES optics (name),
    display_name text,
    polyline jsonb NOT NULL CHECK (jsonb_array_length(polyline -> 'points') >= 2),
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (parent, name)
);

CREATE TABLE rules (
    name text COLLATE "C" PRIMARY KEY
        CHECK (name ~ '^devices/[^/]+/optics/[^/]+/rules/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    parent text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+/optics/[^/]+')) STORED
        CONSTRAINT rule_parent_exists REFERENCES optics (name),
    display_name text,
    mode text CHECK (mode IN ('MODE_OFF', 'MODE_SHADOW', 'MODE_LIVE')),
    priority text,
    classes jsonb,
    line_crossing_line text COLLATE "C",
    line_crossing_direction text,
    zone_intrusion_zone text COLLATE "C",
    -- Seconds.
    zone_intrusion_minimum_dwell numeric CHECK (zone_intrusion_minimum_dwell >= 0),
    schedules jsonb,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(line_crossing_line, zone_intrusion_zone) = 1),
    -- With the parent in the key: of the same optic.
    CONSTRAINT rule_line_exists FOREIGN KEY (parent, line_crossing_line) REFERENCES lines (parent, name),
    CONSTRAINT rule_zone_exists FOREIGN KEY (parent, zone_intrusion_zone) REFERENCES zones (parent, name)
);
CREATE INDEX rule_by_line ON rules (parent, line_crossing_line);
CREATE INDEX rule_by_zone ON rules (parent, zone_intrusion_zone);

-- Whether a device may stream now, as last established. Written when it changes, so that every replica of the registry,
-- every watcher and the history see one and the same transition, also when time alone made it.
CREATE TABLE admissions (
    name text COLLATE "C" PRIMARY KEY REFERENCES devices (name) ON DELETE CASCADE,
    -- Where it stands; null: nowhere.
    site text COLLATE "C",
    -- Names of Refusal.Reason; none: admitted.
    reasons text[] NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);

-- Answers to requests that carried a request_id (AIP-155), kept for a day.
CREATE TABLE answered_request (
    request_id uuid PRIMARY KEY,
    -- SHA-256 of method, caller and request, so that an id cannot fetch somebody else's answer.
    fingerprint bytea NOT NULL,
    response bytea NOT NULL,
    answer_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX answered_request_by_time ON answered_request (answer_time);

DO $$
DECLARE
    collection text;
BEGIN
    FOREACH collection IN ARRAY ARRAY['sites', 'devices', 'deployments', 'optics', 'zones', 'lines', 'rules', 'admissions'] LOOP
        EXECUTE format('CREATE TRIGGER number_version BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION number_version()', collection);
        EXECUTE format('CREATE TRIGGER remember_change AFTER INSERT OR UPDATE OR DELETE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION remember_change()', collection);
    END LOOP;
END $$;
