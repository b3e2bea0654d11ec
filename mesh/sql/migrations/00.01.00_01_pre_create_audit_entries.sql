-- The acts of D.Lgs. 51/2018, art. 21. The hash chain proves changes; the triggers keep mistakes from making them.
CREATE TABLE audit_entries (
    sequence bigint PRIMARY KEY CHECK (sequence > 0),
    recorded_at timestamptz NOT NULL,
    act text NOT NULL CHECK (act IN (
        'collection', 'alteration', 'consultation', 'disclosure', 'transfer', 'combination', 'erasure'
    )),
    who text NOT NULL CHECK (who <> ''),
    why text NOT NULL CHECK (why <> ''),
    what text NOT NULL CHECK (what <> ''),
    to_whom text NOT NULL,
    case_reference text NOT NULL,
    previous_hash bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32)
);

CREATE FUNCTION refuse_change_of_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_entries_keep_rows
BEFORE UPDATE OR DELETE ON audit_entries
FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit_entries();

CREATE TRIGGER audit_entries_keep_table
BEFORE TRUNCATE ON audit_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_entries();
