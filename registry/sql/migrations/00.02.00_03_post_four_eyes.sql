-- No rule goes live, and no live rule changes, without a second person. After the roll-out: the release before let one
-- person do it and would fail here. Rules that are live by now stay so.

-- Whether a proposal for this record was approved in this very transaction, by whom and for whom the transaction says.
CREATE FUNCTION second_person_agreed(record text) RETURNS boolean LANGUAGE sql SET search_path FROM CURRENT AS $$
    SELECT EXISTS (
        SELECT FROM proposals
        WHERE record_name = record AND state = 'STATE_APPROVED' AND decide_time = now()
            AND author = current_setting('argo.author', true) AND decider = current_setting('argo.approver', true)
    )
$$;

-- What people call a record changes nothing of what it does; and of a new row the parent is not worked out yet when its
-- guards look.
CREATE FUNCTION substance_of(record jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
    RETURN record - ARRAY['display_name', 'parent', 'version', 'create_time', 'update_time'];

CREATE FUNCTION guard_live_rule() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    needed boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        needed := NEW.mode = 'MODE_LIVE';
    ELSIF TG_OP = 'DELETE' THEN
        needed := OLD.mode = 'MODE_LIVE';
    ELSE
        needed := NEW.mode = 'MODE_LIVE' AND substance_of(to_jsonb(NEW)) <> substance_of(to_jsonb(OLD));
    END IF;
    IF needed AND (TG_OP = 'DELETE' OR NOT second_person_agreed(NEW.name)) THEN
        RAISE EXCEPTION 'no proposal for this rule was approved by a second person'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'second_person_needed';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER guard_live_rule BEFORE INSERT OR UPDATE OR DELETE ON rules FOR EACH ROW EXECUTE FUNCTION guard_live_rule();

CREATE FUNCTION guard_watched_shape() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF substance_of(to_jsonb(NEW)) = substance_of(to_jsonb(OLD)) THEN
        RETURN NEW;
    END IF;
    -- A rule cannot go live beside this change unseen: both wait for this lock.
    PERFORM FROM change_clock FOR UPDATE;
    IF EXISTS (
        SELECT FROM rules
        WHERE parent = OLD.parent AND mode = 'MODE_LIVE' AND position('"' || OLD.name || '"' IN to_jsonb(rules)::text) > 0
    ) AND NOT second_person_agreed(OLD.name) THEN
        RAISE EXCEPTION 'a live rule watches this, and no proposal for it was approved by a second person'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'second_person_needed';
    END IF;
    RETURN NEW;
END $$;

DO $$
DECLARE
    collection text;
BEGIN
    FOREACH collection IN ARRAY ARRAY['zones', 'lines', 'lanes'] LOOP
        EXECUTE format('CREATE TRIGGER guard_watched_shape BEFORE UPDATE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION guard_watched_shape()', collection);
    END LOOP;
END $$;
