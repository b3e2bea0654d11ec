-- Changes that wait for a second person, and the places for which scenes were confirmed.

-- The person behind an identity, the same in every role and at every controller.
CREATE FUNCTION person_of(identity text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN lower(substring(identity FROM '[^/]+$'));

CREATE TABLE proposals (
    name text COLLATE "C" PRIMARY KEY
        CHECK (name ~ '^devices/[^/]+/optics/[^/]+/proposals/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    parent text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+/optics/[^/]+')) STORED
        CONSTRAINT proposal_parent_exists REFERENCES optics (name) ON DELETE CASCADE,
    -- The whole record as it is to be, in its canonical JSON form.
    rule jsonb,
    zone jsonb,
    line jsonb,
    lane jsonb,
    record_name text COLLATE "C" GENERATED ALWAYS AS (COALESCE(rule, zone, line, lane) ->> 'name') STORED NOT NULL,
    update_mask jsonb,
    state text NOT NULL
        CHECK (state IN ('STATE_PROPOSED', 'STATE_APPROVED', 'STATE_REJECTED', 'STATE_WITHDRAWN', 'STATE_SUPERSEDED')),
    author text NOT NULL CHECK (author <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    decider text,
    decision_reason text,
    decide_time timestamptz,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(rule, zone, line, lane) = 1),
    CHECK ((state = 'STATE_PROPOSED') = (decide_time IS NULL)),
    CHECK (state NOT IN ('STATE_APPROVED', 'STATE_REJECTED', 'STATE_WITHDRAWN') OR decider IS NOT NULL),
    CONSTRAINT proposal_has_second_person CHECK (state <> 'STATE_APPROVED' OR person_of(author) <> person_of(decider)),
    CONSTRAINT proposal_taken_back_by_author CHECK (state <> 'STATE_WITHDRAWN' OR person_of(author) = person_of(decider))
);
CREATE INDEX proposal_by_parent ON proposals (parent, name);

-- What was approved is what was proposed, and a decision stands.
CREATE FUNCTION keep_proposal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'STATE_PROPOSED'
        OR (NEW.name, NEW.rule, NEW.zone, NEW.line, NEW.lane, NEW.author, NEW.reason)
            IS DISTINCT FROM (OLD.name, OLD.rule, OLD.zone, OLD.line, OLD.lane, OLD.author, OLD.reason) THEN
        RAISE EXCEPTION 'a proposal is only ever decided, and only once'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'proposal_stands';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_proposal BEFORE UPDATE ON proposals FOR EACH ROW EXECUTE FUNCTION keep_proposal();
CREATE TRIGGER number_version BEFORE UPDATE ON proposals FOR EACH ROW EXECUTE FUNCTION number_version();
CREATE TRIGGER remember_change AFTER INSERT OR UPDATE OR DELETE ON proposals FOR EACH ROW EXECUTE FUNCTION remember_change();

-- Nobody can approve a change of something that is no longer what the proposal was made for: neither the record itself
-- nor, for a rule, the zone, line or lane that it watches. An id holds no quote, so a quoted name is found as it stands.
CREATE FUNCTION supersede_proposals() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE proposals SET state = 'STATE_SUPERSEDED', decide_time = now()
    WHERE parent = OLD.parent AND state = 'STATE_PROPOSED'
        AND (record_name = OLD.name OR position('"' || OLD.name || '"' IN rule::text) > 0);
    RETURN NULL;
END $$;

-- For which place what is drawn over an optic's picture was confirmed; no row: for none. Who did it and why is in the
-- history, since the row is written under that name.
CREATE TABLE scenes (
    name text COLLATE "C" PRIMARY KEY REFERENCES optics (name) ON DELETE CASCADE,
    parent text COLLATE "C" GENERATED ALWAYS AS (substring(name FROM '^devices/[^/]+')) STORED,
    site text COLLATE "C" NOT NULL REFERENCES sites (name) ON DELETE CASCADE,
    -- Of a mobile device.
    deployment text COLLATE "C" REFERENCES deployments (name) ON DELETE CASCADE,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX scene_by_parent ON scenes (parent);
CREATE INDEX scene_by_site ON scenes (site);
CREATE INDEX scene_by_deployment ON scenes (deployment);
CREATE TRIGGER number_version BEFORE UPDATE ON scenes FOR EACH ROW EXECUTE FUNCTION number_version();
CREATE TRIGGER remember_change AFTER INSERT OR UPDATE OR DELETE ON scenes FOR EACH ROW EXECUTE FUNCTION remember_change();

-- Whoever draws on a picture of a fixed device draws what is there.
CREATE FUNCTION confirm_present_scene() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO scenes (name, site) SELECT NEW.name, site FROM devices WHERE name = NEW.parent AND site IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER confirm_present_scene AFTER INSERT ON optics FOR EACH ROW EXECUTE FUNCTION confirm_present_scene();

-- A device that is put elsewhere and back again does not look where it looked before.
CREATE FUNCTION forget_scenes_of_device() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM scenes WHERE parent = NEW.name;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_scenes AFTER UPDATE ON devices FOR EACH ROW
    WHEN ((OLD.site, OLD.mobility) IS DISTINCT FROM (NEW.site, NEW.mobility))
    EXECUTE FUNCTION forget_scenes_of_device();

-- Nor does one whose stay was over and is prolonged afterwards: in between it may have been taken down.
CREATE FUNCTION forget_scenes_of_deployment() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    interrupted boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        interrupted := NEW.start_time <= now()
            AND EXISTS (SELECT FROM deployments WHERE parent = NEW.parent AND end_time = NEW.start_time);
    ELSE
        interrupted := NEW.site <> OLD.site OR (OLD.end_time <= now() AND NEW.end_time > OLD.end_time);
    END IF;
    IF interrupted THEN
        DELETE FROM scenes WHERE parent = NEW.parent;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_scenes AFTER INSERT OR UPDATE ON deployments FOR EACH ROW
    EXECUTE FUNCTION forget_scenes_of_deployment();

-- The same stay cannot go on under the decision that ended it.
CREATE FUNCTION require_new_decision() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM deployments
        WHERE parent = NEW.parent AND name <> NEW.name AND site = NEW.site AND decision = NEW.decision
            AND (end_time = NEW.start_time OR start_time = NEW.end_time)
    ) THEN
        RAISE EXCEPTION 'a stay is extended by a new decision only'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deployment_needs_decision';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER require_new_decision AFTER INSERT OR UPDATE ON deployments FOR EACH ROW
    EXECUTE FUNCTION require_new_decision();

-- Which optics have no scene that fits the place where the device stands, as last established; see admissions.
ALTER TABLE admissions ADD COLUMN unconfirmed text[] NOT NULL DEFAULT '{}';

-- The configuration of an optic holds the name of its device.
CREATE INDEX change_of_device ON change (name, sequence) WHERE collection = 'devices';

-- Before this version nobody could confirm a scene. What watches a street at this moment was drawn for it by the same
-- people, and masking a whole city at an upgrade would blind it without cause; so what is in force stays in force, a
-- mobile device's until its running deployment ends.
SELECT set_config('argo.author', 'service/registry', true), set_config('argo.reason', 'in force before scenes were confirmed', true);
INSERT INTO scenes (name, site)
SELECT optics.name, devices.site FROM optics JOIN devices ON devices.name = optics.parent WHERE devices.site IS NOT NULL;
INSERT INTO scenes (name, site, deployment)
SELECT optics.name, deployments.site, deployments.name
FROM optics JOIN deployments ON deployments.parent = optics.parent
WHERE deployments.start_time <= now() AND now() < deployments.end_time;

DO $$
DECLARE
    collection text;
BEGIN
    FOREACH collection IN ARRAY ARRAY['rules', 'zones', 'lines', 'lanes'] LOOP
        EXECUTE format('CREATE TRIGGER supersede_proposals AFTER UPDATE OR DELETE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION supersede_proposals()', collection);
    END LOOP;
END $$;
