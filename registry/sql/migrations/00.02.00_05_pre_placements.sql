-- Requests for mobile cameras and more light, and what became of them.

CREATE TABLE placement_requests (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^placementRequests/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    controller text COLLATE "C" NOT NULL CONSTRAINT placement_controller_exists REFERENCES controllers (name),
    requester text NOT NULL CHECK (requester <> ''),
    site text COLLATE "C" NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    measures jsonb NOT NULL
        CHECK (measures IN ('["MEASURE_MOBILE_CAMERA"]', '["MEASURE_LIGHTING"]', '["MEASURE_MOBILE_CAMERA", "MEASURE_LIGHTING"]')),
    state text NOT NULL
        CHECK (state IN ('STATE_PROPOSED', 'STATE_ASSESSED', 'STATE_DECIDED', 'STATE_DEPLOYED', 'STATE_REFUSED')),
    decision text,
    decision_time timestamptz,
    -- Its record may be deleted later; that it came of this request stays on record.
    deployment text COLLATE "C",
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    -- The site of an open request cannot be deleted; a request that is answered binds nothing.
    open_site text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN state IN ('STATE_PROPOSED', 'STATE_ASSESSED', 'STATE_DECIDED') THEN site END
    ) STORED CONSTRAINT placement_site_exists REFERENCES sites (name),
    CONSTRAINT placement_has_decision CHECK (
        CASE
            WHEN state IN ('STATE_DECIDED', 'STATE_DEPLOYED') THEN decision <> '' AND decision_time IS NOT NULL
            WHEN state IN ('STATE_PROPOSED', 'STATE_ASSESSED') THEN num_nonnulls(decision, decision_time) = 0
            ELSE num_nonnulls(decision, decision_time) <> 1
        END IS TRUE
    ),
    CONSTRAINT placement_has_deployment CHECK (
        CASE WHEN state = 'STATE_DEPLOYED' THEN deployment IS NOT NULL OR NOT measures ? 'MEASURE_MOBILE_CAMERA'
             ELSE deployment IS NULL END
    )
);
CREATE INDEX placement_by_controller ON placement_requests (controller, name);
CREATE INDEX placement_by_open_site ON placement_requests (open_site) WHERE open_site IS NOT NULL;

-- A request goes one step at a time, asks for the same all its life, and is never forgotten; a camera that answers it stands
-- at its site since the decision.
CREATE FUNCTION keep_placement() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    stands boolean := false;
BEGIN
    IF TG_OP = 'INSERT' THEN
        stands := NEW.state = 'STATE_PROPOSED';
    ELSIF TG_OP = 'UPDATE' THEN
        stands := (NEW.name, NEW.controller, NEW.requester, NEW.site, NEW.reason, NEW.measures, NEW.create_time)
                IS NOT DISTINCT FROM (OLD.name, OLD.controller, OLD.requester, OLD.site, OLD.reason, OLD.measures, OLD.create_time)
            AND (NEW.state = 'STATE_DECIDED'
                 OR (NEW.decision, NEW.decision_time) IS NOT DISTINCT FROM (OLD.decision, OLD.decision_time))
            AND (OLD.state, NEW.state) IN (
                ('STATE_PROPOSED', 'STATE_ASSESSED'), ('STATE_PROPOSED', 'STATE_REFUSED'),
                ('STATE_ASSESSED', 'STATE_DECIDED'), ('STATE_ASSESSED', 'STATE_REFUSED'),
                ('STATE_DECIDED', 'STATE_DEPLOYED'), ('STATE_DECIDED', 'STATE_REFUSED')
            );
    END IF;
    IF stands IS NOT TRUE THEN
        RAISE EXCEPTION 'a request is assessed, decided, and deployed or refused, and not changed otherwise'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'placement_stands';
    END IF;
    IF NEW.deployment IS NOT NULL AND NOT EXISTS (
        SELECT FROM deployments JOIN devices ON devices.name = deployments.parent
        WHERE deployments.name = NEW.deployment AND deployments.site = NEW.site AND start_time >= NEW.decision_time
            AND legal_basis_controller = NEW.controller
    ) THEN
        RAISE EXCEPTION 'no such deployment at the site since the decision'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'placement_deployment_exists';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_placement BEFORE INSERT OR UPDATE OR DELETE ON placement_requests
    FOR EACH ROW EXECUTE FUNCTION keep_placement();
CREATE TRIGGER number_version BEFORE UPDATE ON placement_requests FOR EACH ROW EXECUTE FUNCTION number_version();

-- A site of another controller is refused as if it were not there.
CREATE FUNCTION refuse_foreign_place() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM sites WHERE name = NEW.site AND controller = NEW.controller) THEN
        RAISE EXCEPTION 'the site does not exist' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'placement_site_exists';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse_foreign_place AFTER INSERT ON placement_requests FOR EACH ROW EXECUTE FUNCTION refuse_foreign_place();
CREATE TRIGGER remember_change AFTER INSERT OR UPDATE OR DELETE ON placement_requests
    FOR EACH ROW EXECUTE FUNCTION remember_change();
