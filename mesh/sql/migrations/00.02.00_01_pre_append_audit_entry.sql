-- An entry in one round trip. The hash is that of mesh.audit.entries.hash_entry: SHA-256 over the previous hash and the
-- entry as JSON in UTF-8 with sorted keys and no blanks. to_json escapes what Python's json module escapes, and nothing else.
CREATE FUNCTION append_audit_entry(
    act text, who text, why text, what text, to_whom text, case_reference text,
    OUT sequence bigint, OUT recorded_at timestamptz, OUT previous_hash bytea, OUT hash bytea
) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    -- One writer at a time until its transaction ends; the chain has one order.
    PERFORM pg_advisory_xact_lock(hashtextextended('argo_audit/' || current_schema(), 0));
    SELECT head.sequence + 1, head.hash INTO sequence, previous_hash
    FROM audit_entries AS head ORDER BY head.sequence DESC LIMIT 1;
    sequence := coalesce(sequence, 1);
    previous_hash := coalesce(previous_hash, decode(repeat('00', 32), 'hex'));
    -- The clock is read under the lock, so that times never run against the sequence.
    recorded_at := clock_timestamp();
    hash := sha256(previous_hash || convert_to(
        '{"act":' || to_json(act)::text || ',"case":' || to_json(case_reference)::text
        || ',"recorded_at":"' || to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
        || '","sequence":' || sequence::text || ',"to_whom":' || to_json(to_whom)::text
        || ',"what":' || to_json(what)::text || ',"who":' || to_json(who)::text || ',"why":' || to_json(why)::text || '}',
        'UTF8'
    ));
    INSERT INTO audit_entries VALUES (
        sequence, recorded_at, act, who, why, what, to_whom, case_reference, previous_hash, hash
    );
END
$$;
