-- Whose records they are, lanes, and the reason of every change.

ALTER TABLE change ADD COLUMN reason text, ADD COLUMN approver text;

CREATE OR REPLACE FUNCTION remember_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
BEGIN
    UPDATE change_clock SET sequence = sequence + 1 RETURNING sequence INTO number;
    INSERT INTO change (sequence, collection, name, version, author, approver, reason, record)
    VALUES (
        number, TG_TABLE_NAME,
        CASE TG_OP WHEN 'DELETE' THEN OLD.name ELSE NEW.name END,
        CASE TG_OP WHEN 'DELETE' THEN OLD.version + 1 ELSE NEW.version END,
        NULLIF(current_setting('argo.author', true), ''),
        NULLIF(current_setting('argo.approver', true), ''),
        NULLIF(current_setting('argo.reason', true), ''),
        CASE TG_OP WHEN 'DELETE' THEN NULL ELSE to_jsonb(NEW) END
    );
    PERFORM pg_notify('argo_registry', '');
    RETURN NULL;
END $$;

CREATE TABLE controllers (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^controllers/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    display_name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('KIND_CITY', 'KIND_POLICE_FORCE', 'KIND_PRIVATE_OWNER')),
    contact text,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER number_version BEFORE UPDATE ON controllers FOR EACH ROW EXECUTE FUNCTION number_version();
CREATE TRIGGER remember_change AFTER INSERT OR UPDATE OR DELETE ON controllers FOR EACH ROW EXECUTE FUNCTION remember_change();

INSERT INTO controllers (name, display_name, kind) VALUES ('controllers/city', 'City', 'KIND_CITY');

-- Controllers were free text before. The text on most devices is what the city called itself; each other one becomes a
-- record, and devices without one are the city's.
CREATE TEMPORARY TABLE city_called ON COMMIT DROP AS
SELECT trim(legal_basis_controller) AS text FROM devices WHERE trim(legal_basis_controller) <> ''
GROUP BY trim(legal_basis_controller) ORDER BY count(*) DESC, trim(legal_basis_controller) LIMIT 1;
UPDATE controllers SET display_name = text FROM city_called WHERE text <> 'controllers/city';
CREATE FUNCTION pg_temp.controller_of(text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN trim(coalesce($1, '')) IN ('', 'controllers/city') OR trim($1) = (SELECT text FROM city_called)
           THEN 'controllers/city'
           ELSE 'controllers/owner-' || substr(md5(trim($1)), 1, 16) END
$$;
INSERT INTO controllers (name, display_name, kind)
SELECT DISTINCT pg_temp.controller_of(legal_basis_controller), trim(legal_basis_controller), 'KIND_PRIVATE_OWNER' FROM devices
WHERE pg_temp.controller_of(legal_basis_controller) <> 'controllers/city';

UPDATE devices SET legal_basis_controller = pg_temp.controller_of(legal_basis_controller);
ALTER TABLE devices
    ADD COLUMN transport text CHECK (transport IN ('TRANSPORT_TCP', 'TRANSPORT_UDP', 'TRANSPORT_TLS')),
    ADD COLUMN legal_basis_regime text
        CHECK (legal_basis_regime IN ('REGIME_UNSPECIFIED', 'REGIME_GDPR', 'REGIME_LAW_ENFORCEMENT')),
    ALTER COLUMN legal_basis_controller TYPE text COLLATE "C",
    ALTER COLUMN legal_basis_controller SET DEFAULT 'controllers/city',
    ALTER COLUMN legal_basis_controller SET NOT NULL,
    ADD CONSTRAINT device_controller_exists FOREIGN KEY (legal_basis_controller) REFERENCES controllers (name);
CREATE INDEX device_by_controller ON devices (legal_basis_controller, name);

ALTER TABLE sites
    ADD COLUMN controller text COLLATE "C" NOT NULL DEFAULT 'controllers/city'
        CONSTRAINT site_controller_exists REFERENCES controllers (name);
CREATE INDEX site_by_controller ON sites (controller, name);

ALTER TABLE optics
    DROP CONSTRAINT optics_ingest_check,
    ADD CHECK (ingest IN ('INGEST_RTSP', 'INGEST_WHIP', 'INGEST_MJPEG')),
    ADD COLUMN crop jsonb,
    ADD COLUMN policy_masking_style text
        CHECK (policy_masking_style IN ('MASKING_STYLE_UNSPECIFIED', 'MASKING_STYLE_SILHOUETTE', 'MASKING_STYLE_BOX')),
    ADD COLUMN policy_viewers jsonb,
    ADD COLUMN policy_stream text CHECK (policy_stream IN ('STREAM_UNSPECIFIED', 'STREAM_MAIN', 'STREAM_SUB')),
    ADD COLUMN policy_priority text,
    ADD COLUMN policy_heartbeat_frame_rate double precision CHECK (policy_heartbeat_frame_rate >= 0);

CREATE TABLE lanes (
    name text COLLATE "C" PRIMARY KEY
        CHECK (name ~ '^devices/[^/]+/optics/[^/]+/lanes/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    parent text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+/optics/[^/]+')) STORED
        CONSTRAINT lane_parent_exists REFERENCES optics (name),
    display_name text,
    polygon jsonb NOT NULL CHECK (jsonb_array_length(polygon -> 'points') >= 3),
    course jsonb NOT NULL CHECK (jsonb_array_length(course -> 'points') >= 2),
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (parent, name)
);
CREATE TRIGGER number_version BEFORE UPDATE ON lanes FOR EACH ROW EXECUTE FUNCTION number_version();
CREATE TRIGGER remember_change AFTER INSERT OR UPDATE OR DELETE ON lanes FOR EACH ROW EXECUTE FUNCTION remember_change();
