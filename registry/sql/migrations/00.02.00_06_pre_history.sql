-- The history is read at any past instant, and nobody changes it.

-- A transaction may wait long for its turn at change_clock. Its changes bear one time, taken when it has its turn, so that the
-- order of times is that of numbers, and no instant shows half of what was changed together.
CREATE FUNCTION time_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.change_time := COALESCE(
        NULLIF(current_setting('argo.change_time', true), ''),
        set_config('argo.change_time', clock_timestamp()::text, true)
    )::timestamptz;
    RETURN NEW;
END
$$;
CREATE TRIGGER time_change BEFORE INSERT ON change FOR EACH ROW EXECUTE FUNCTION time_change();

CREATE INDEX change_by_time ON change (change_time, sequence);
CREATE INDEX change_by_name ON change (name, sequence);
CREATE INDEX change_by_device ON change (device, sequence) WHERE device IS NOT NULL;
-- The last version of each record of a device up to some change.
CREATE INDEX change_by_record ON change (device, collection, name, sequence) WHERE device IS NOT NULL;

CREATE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER change_keeps_rows BEFORE UPDATE OR DELETE ON change
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_history();
CREATE TRIGGER change_keeps_table BEFORE TRUNCATE ON change
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
