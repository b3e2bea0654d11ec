-- Legal holds: the only thing that stops erasure.

CREATE TABLE holds (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^holds/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    controller text COLLATE "C" NOT NULL CONSTRAINT hold_controller_exists REFERENCES controllers (name),
    scope text COLLATE "C" NOT NULL CHECK (scope ~ '^(sites/[^/]+|devices/[^/]+/optics/[^/]+)$'),
    interval_start_time timestamptz NOT NULL,
    interval_end_time timestamptz NOT NULL,
    authority text NOT NULL CHECK (authority <> ''),
    act text NOT NULL CHECK (act <> ''),
    expire_time timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('STATE_PROPOSED', 'STATE_ACTIVE', 'STATE_RELEASED', 'STATE_EXPIRED')),
    -- Identity paths. Null: nobody has approved yet.
    proposer text NOT NULL CHECK (person_of(proposer) IS NOT NULL),
    approvers jsonb,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    -- What an open hold is about cannot be deleted; a hold that is over binds nothing.
    open_site text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN state IN ('STATE_PROPOSED', 'STATE_ACTIVE') AND scope LIKE 'sites/%' THEN scope END
    ) STORED CONSTRAINT hold_site_exists REFERENCES sites (name),
    open_optic text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN state IN ('STATE_PROPOSED', 'STATE_ACTIVE') AND scope LIKE 'devices/%' THEN scope END
    ) STORED CONSTRAINT hold_optic_exists REFERENCES optics (name),
    CONSTRAINT hold_interval_sane CHECK (
        interval_start_time < interval_end_time AND interval_end_time <= interval_start_time + interval '366 days'
    ),
    CONSTRAINT hold_expiry_sane CHECK (interval_end_time <= expire_time AND create_time < expire_time),
    CONSTRAINT hold_approvers_are_people CHECK (
        jsonb_array_length(jsonb_path_query_array(
            approvers, 'strict $[*] ? (@ like_regex "^(tenants/[^/]+/)?(supervisor|administrator)/[^/]+$")'
        )) = jsonb_array_length(approvers)
    ),
    CONSTRAINT hold_approvers_differ CHECK (
        -- Unknown where there is no such approver, which a check lets pass.
        person_of(approvers ->> 0) <> person_of(proposer)
        AND person_of(approvers ->> 1) <> person_of(proposer)
        AND person_of(approvers ->> 0) <> person_of(approvers ->> 1)
        AND jsonb_array_length(approvers) <= 2
    ),
    CONSTRAINT hold_waits_for_approvers CHECK (state <> 'STATE_PROPOSED' OR COALESCE(jsonb_array_length(approvers), 0) < 2),
    CONSTRAINT hold_has_two_approvers CHECK (
        state <> 'STATE_ACTIVE'
        OR (
            jsonb_array_length(approvers) = 2
            AND person_of(approvers ->> 0) <> person_of(proposer)
            AND person_of(approvers ->> 1) <> person_of(proposer)
            AND person_of(approvers ->> 0) <> person_of(approvers ->> 1)
        ) IS TRUE
    )
);
CREATE INDEX hold_by_controller ON holds (controller, name);
CREATE INDEX hold_by_expiry ON holds (expire_time) WHERE state IN ('STATE_PROPOSED', 'STATE_ACTIVE');
CREATE INDEX active_hold ON holds (name) WHERE state = 'STATE_ACTIVE';
CREATE INDEX hold_by_site ON holds (open_site) WHERE open_site IS NOT NULL;
CREATE INDEX hold_by_optic ON holds (open_optic) WHERE open_optic IS NOT NULL;

-- A hold begins as a proposal, goes one step at a time, says the same all its life, and is never forgotten.
CREATE FUNCTION keep_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stands boolean := false;
BEGIN
    IF TG_OP = 'INSERT' THEN
        stands := NEW.state = 'STATE_PROPOSED' AND NEW.approvers IS NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        stands := (NEW.name, NEW.controller, NEW.scope, NEW.interval_start_time, NEW.interval_end_time, NEW.authority, NEW.act,
                   NEW.expire_time, NEW.proposer, NEW.create_time)
                IS NOT DISTINCT FROM
                  (OLD.name, OLD.controller, OLD.scope, OLD.interval_start_time, OLD.interval_end_time, OLD.authority, OLD.act,
                   OLD.expire_time, OLD.proposer, OLD.create_time)
            AND CASE
                WHEN OLD.state = 'STATE_PROPOSED' AND NEW.state IN ('STATE_PROPOSED', 'STATE_ACTIVE') THEN
                    COALESCE(NEW.approvers - (-1), '[]') = COALESCE(OLD.approvers, '[]')
                    AND jsonb_array_length(NEW.approvers) = COALESCE(jsonb_array_length(OLD.approvers), 0) + 1
                WHEN OLD.state IN ('STATE_PROPOSED', 'STATE_ACTIVE') AND NEW.state IN ('STATE_RELEASED', 'STATE_EXPIRED') THEN
                    NEW.approvers IS NOT DISTINCT FROM OLD.approvers
                ELSE false
            END;
    END IF;
    IF stands IS NOT TRUE THEN
        RAISE EXCEPTION 'a hold is proposed, approved twice and ended, and not changed otherwise'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hold_stands';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_hold BEFORE INSERT OR UPDATE OR DELETE ON holds FOR EACH ROW EXECUTE FUNCTION keep_hold();
CREATE TRIGGER number_version BEFORE UPDATE ON holds FOR EACH ROW EXECUTE FUNCTION number_version();

-- A scope of another controller is refused as if it were not there.
CREATE FUNCTION refuse_foreign_scope() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM sites WHERE name = NEW.scope AND controller = NEW.controller
        UNION ALL
        SELECT FROM devices WHERE name = substring(NEW.scope FROM '^devices/[^/]+') AND legal_basis_controller = NEW.controller
    ) THEN
        RAISE EXCEPTION 'the scope does not exist' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'hold_scope_exists';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse_foreign_scope AFTER INSERT ON holds FOR EACH ROW EXECUTE FUNCTION refuse_foreign_scope();

CREATE OR REPLACE FUNCTION controller_of(collection text, record jsonb) RETURNS text STABLE LANGUAGE sql SET search_path FROM CURRENT AS $$
    SELECT CASE
        WHEN collection = 'controllers' THEN record ->> 'name'
        WHEN collection IN ('sites', 'holds', 'placement_requests') THEN record ->> 'controller'
        WHEN collection = 'devices' THEN record ->> 'legal_basis_controller'
        ELSE COALESCE(
            (SELECT legal_basis_controller FROM devices WHERE name = substring(record ->> 'name' FROM '^devices/[^/]+')),
            -- The device goes in the same statement: as it was remembered last.
            (SELECT controller FROM change WHERE change.collection = 'devices'
                AND change.name = substring(record ->> 'name' FROM '^devices/[^/]+') ORDER BY version DESC LIMIT 1)
        )
    END
$$;
CREATE TRIGGER remember_change AFTER INSERT OR UPDATE OR DELETE ON holds FOR EACH ROW EXECUTE FUNCTION remember_change();

-- Which devices have stood at a site, and since when, as it was known at the time.
CREATE INDEX change_of_standing ON change ((record ->> 'site')) WHERE collection = 'admissions';
