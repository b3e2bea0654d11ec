-- Tenants: every record belongs to one controller for good, and what it refers to belongs to the same one.

-- The city is always there.
ALTER TABLE change_clock
    ADD COLUMN city text COLLATE "C" NOT NULL DEFAULT 'controllers/city' CHECK (city = 'controllers/city')
        REFERENCES controllers (name);

-- Whose record a change was about, so that the history and resumed watches can be filtered; null: nobody's any more.
ALTER TABLE change ADD COLUMN controller text COLLATE "C";
CREATE INDEX change_of_controller ON change (controller, sequence);

CREATE FUNCTION controller_of(collection text, record jsonb) RETURNS text STABLE LANGUAGE sql SET search_path FROM CURRENT AS $$
    SELECT CASE collection
        WHEN 'controllers' THEN record ->> 'name'
        WHEN 'sites' THEN record ->> 'controller'
        WHEN 'devices' THEN record ->> 'legal_basis_controller'
        ELSE COALESCE(
            (SELECT legal_basis_controller FROM devices WHERE name = substring(record ->> 'name' FROM '^devices/[^/]+')),
            -- The device goes in the same statement: as it was remembered last.
            (SELECT controller FROM change WHERE change.collection = 'devices'
                AND change.name = substring(record ->> 'name' FROM '^devices/[^/]+') ORDER BY version DESC LIMIT 1)
        )
    END
$$;

CREATE OR REPLACE FUNCTION remember_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
    present jsonb := to_jsonb(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END);
BEGIN
    UPDATE change_clock SET sequence = sequence + 1 RETURNING sequence INTO number;
    INSERT INTO change (sequence, collection, name, version, author, approver, reason, controller, record)
    VALUES (
        number, TG_TABLE_NAME,
        present ->> 'name',
        (present ->> 'version')::bigint + CASE TG_OP WHEN 'DELETE' THEN 1 ELSE 0 END,
        NULLIF(current_setting('argo.author', true), ''),
        NULLIF(current_setting('argo.approver', true), ''),
        NULLIF(current_setting('argo.reason', true), ''),
        controller_of(TG_TABLE_NAME, present),
        CASE TG_OP WHEN 'DELETE' THEN NULL ELSE present END
    );
    PERFORM pg_notify('argo_registry', '');
    RETURN NULL;
END $$;

-- A site at which only the devices of one owner stand becomes that owner's; a shared one stays the city's.
UPDATE sites SET controller = owners.controller
FROM (
    SELECT site, min(legal_basis_controller) AS controller FROM devices
    WHERE site IS NOT NULL GROUP BY site HAVING count(DISTINCT legal_basis_controller) = 1
) AS owners
WHERE owners.site = sites.name AND owners.controller <> sites.controller
  AND NOT EXISTS (
      SELECT FROM deployments JOIN devices ON devices.name = deployments.parent
      WHERE deployments.site = sites.name AND devices.legal_basis_controller <> owners.controller
  );

-- What was remembered before there were controllers belongs to whom the record belongs now; what is gone, to the city.
UPDATE change SET controller = COALESCE(
    CASE collection
        WHEN 'controllers' THEN name
        WHEN 'sites' THEN (SELECT controller FROM sites WHERE sites.name = change.name)
        ELSE (SELECT legal_basis_controller FROM devices WHERE devices.name = change.device)
    END,
    'controllers/city'
);

CREATE FUNCTION keep_controller() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF controller_of(TG_TABLE_NAME, to_jsonb(NEW)) IS DISTINCT FROM controller_of(TG_TABLE_NAME, to_jsonb(OLD)) THEN
        RAISE EXCEPTION 'a record stays with its controller' USING ERRCODE = 'check_violation', CONSTRAINT = 'controller_kept';
    END IF;
    RETURN NEW;
END $$;
ALTER FUNCTION keep_controller() SET search_path FROM CURRENT;
CREATE TRIGGER keep_controller BEFORE UPDATE OF controller ON sites FOR EACH ROW EXECUTE FUNCTION keep_controller();
CREATE TRIGGER keep_controller BEFORE UPDATE OF legal_basis_controller ON devices FOR EACH ROW EXECUTE FUNCTION keep_controller();

-- A site of another controller is refused as if it were not there. Records of before may refer to a shared site of the city.
CREATE FUNCTION refuse_foreign_site() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.site IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.site IS DISTINCT FROM OLD.site) AND NOT EXISTS (
        SELECT FROM sites WHERE name = NEW.site AND controller = controller_of(TG_TABLE_NAME, to_jsonb(NEW))
    ) THEN
        RAISE EXCEPTION 'the site does not exist'
            USING ERRCODE = 'foreign_key_violation',
                  CONSTRAINT = CASE TG_TABLE_NAME WHEN 'devices' THEN 'device_site_exists' ELSE 'deployment_site_exists' END;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse_foreign_site AFTER INSERT OR UPDATE OF site ON devices
    FOR EACH ROW EXECUTE FUNCTION refuse_foreign_site();
CREATE TRIGGER refuse_foreign_site AFTER INSERT OR UPDATE OF site ON deployments
    FOR EACH ROW EXECUTE FUNCTION refuse_foreign_site();

-- A request id is the tenant's own: nobody learns of another's by trying.
ALTER TABLE answered_request
    ADD COLUMN controller text COLLATE "C" NOT NULL DEFAULT 'controllers/city',
    DROP CONSTRAINT answered_request_pkey,
    ADD PRIMARY KEY (controller, request_id);
ALTER TABLE answered_request ALTER COLUMN controller DROP DEFAULT;

-- Whole devices are read at once, with all below them.
CREATE INDEX deployment_by_parent ON deployments (parent);
CREATE INDEX deployment_by_device ON deployments (substring(name FROM '^devices/[^/]+'));
CREATE INDEX optic_by_device ON optics (substring(name FROM '^devices/[^/]+'));
CREATE INDEX zone_by_device ON zones (substring(name FROM '^devices/[^/]+'));
CREATE INDEX line_by_device ON lines (substring(name FROM '^devices/[^/]+'));
CREATE INDEX lane_by_device ON lanes (substring(name FROM '^devices/[^/]+'));
CREATE INDEX rule_by_device ON rules (substring(name FROM '^devices/[^/]+'));
