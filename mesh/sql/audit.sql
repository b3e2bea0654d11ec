-- name: lock_log
-- One writer at a time until its transaction ends; the chain has one order.
SELECT pg_advisory_xact_lock(hashtextextended('argo_audit/' || current_schema(), 0));

-- name: get_head
SELECT head.sequence, head.hash, clock_timestamp() AS now
FROM (SELECT 1) AS always
LEFT JOIN LATERAL (
    SELECT sequence, hash FROM audit_entries ORDER BY sequence DESC LIMIT 1
) AS head ON true;

-- name: append_entry
INSERT INTO audit_entries
    (sequence, recorded_at, act, who, why, what, to_whom, case_reference, previous_hash, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: list_entries
SELECT sequence, recorded_at, act, who, why, what, to_whom, case_reference, previous_hash, hash
FROM audit_entries
ORDER BY sequence;
