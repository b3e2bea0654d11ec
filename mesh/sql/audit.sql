-- name: get_head
SELECT sequence, hash FROM audit_entries ORDER BY sequence DESC LIMIT 1

-- name: get_hash
SELECT hash FROM audit_entries WHERE sequence = $1

-- name: append_entry
SELECT sequence, recorded_at, previous_hash, hash FROM append_audit_entry($1, $2, $3, $4, $5, $6)

-- name: list_entries
SELECT sequence, recorded_at, act, who, why, what, to_whom, case_reference, previous_hash, hash
FROM audit_entries
ORDER BY sequence

-- name: page_entries
-- Entries after $1 from $2 until $3 of actor $4, acts $5, case $6, whose object begins with $7, handed over to $8; at most $9.
SELECT sequence, recorded_at, act, who, why, what, to_whom, case_reference, previous_hash, hash
FROM audit_entries
WHERE sequence > $1
    AND ($2::timestamptz IS NULL OR recorded_at >= $2)
    AND ($3::timestamptz IS NULL OR recorded_at < $3)
    AND ($4::text = '' OR who = $4)
    AND (cardinality($5::text[]) = 0 OR act = ANY ($5))
    AND ($6::text = '' OR case_reference = $6)
    AND ($7::text = '' OR starts_with(what, $7))
    AND ($8::text = '' OR to_whom = $8)
ORDER BY sequence
LIMIT $9

-- name: last_expired
-- The last entry before the first that is not from before $1: clocks may have been set, and the chain is cut in one place.
SELECT sequence, hash FROM audit_entries
WHERE sequence < coalesce((SELECT min(sequence) FROM audit_entries WHERE recorded_at >= $1), 9223372036854775807)
ORDER BY sequence DESC
LIMIT 1

-- name: unlock_rows
ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_keep_rows

-- name: erase_expired
DELETE FROM audit_entries WHERE sequence <= $1

-- name: lock_rows
ALTER TABLE audit_entries ENABLE TRIGGER audit_entries_keep_rows

-- name: powers
-- What the current role could do to entries that exist. The owner of a schema may drop what lies in it.
SELECT has_table_privilege(log.oid, 'UPDATE') AS "UPDATE",
       has_table_privilege(log.oid, 'DELETE') AS "DELETE",
       has_table_privilege(log.oid, 'TRUNCATE') AS "TRUNCATE",
       has_table_privilege(log.oid, 'TRIGGER') AS "TRIGGER",
       pg_has_role(log.relowner, 'MEMBER') AS "owner of the table",
       pg_has_role(home.nspowner, 'MEMBER') AS "owner of the schema",
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS "superuser"
FROM pg_class AS log JOIN pg_namespace AS home ON home.oid = log.relnamespace
WHERE log.oid = 'audit_entries'::regclass
