-- Queries of the history. "In sight of" a parameter: records of the controller that it names; null: of all.

-- name: present
SELECT sequence, clock_timestamp() AS now FROM change_clock

-- name: number_at
-- The last change by the instant $1; 0: none yet. Times have the order of numbers but for two cases: release 0.1.0 took the
-- begin of a transaction, and a clock is sometimes put back a little. Neither amounts to a minute.
SELECT COALESCE(max(sequence), 0) FROM change
WHERE change_time <= $1
    AND change_time > (SELECT max(change_time) FROM change WHERE change_time <= $1) - interval '1 minute'

-- name: time_of
SELECT change_time FROM change WHERE sequence = $1

-- name: records_at
-- The last version up to change $3 of the device $1 and of what hangs on it, without its optics other than $2. One step of
-- an index for each record, however many versions it has had.
WITH RECURSIVE records AS (
    (SELECT collection, name FROM change WHERE device = $1 ORDER BY collection, name LIMIT 1)
    UNION ALL
    SELECT following.collection, following.name
    FROM records CROSS JOIN LATERAL (
        SELECT collection, name FROM change
        WHERE device = $1 AND (collection, name) > (records.collection, records.name)
        ORDER BY collection, name LIMIT 1
    ) AS following
)
SELECT last.*
FROM records CROSS JOIN LATERAL (
    SELECT sequence, collection, name, version, author, approver, reason, change_time, controller, record FROM change
    WHERE device = $1 AND collection = records.collection AND name = records.name AND sequence <= $3
    ORDER BY sequence DESC LIMIT 1
) AS last
WHERE COALESCE(substring(records.name FROM '^devices/[^/]+/optics/[^/]+'), $2) = $2

-- name: record_at
-- The last version up to change $3 of one record $2 of the collection $1.
SELECT sequence, collection, name, version, author, approver, reason, change_time, controller, record FROM change
WHERE name = $2 AND collection = $1 AND sequence <= $3
ORDER BY sequence DESC LIMIT 1

-- name: revisions_of_record
-- A page of $5 before the change $2, of the collections $3, in sight of $4.
SELECT sequence, collection, name, version, author, approver, reason, change_time, controller, record FROM change
WHERE name = $1 AND sequence < $2 AND collection = ANY ($3::text[]) AND ($4::text IS NULL OR controller = $4)
ORDER BY sequence DESC LIMIT $5

-- name: revisions_of_optic
SELECT sequence, collection, name, version, author, approver, reason, change_time, controller, record FROM change
WHERE optic = $1 AND sequence < $2 AND collection = ANY ($3::text[]) AND ($4::text IS NULL OR controller = $4)
ORDER BY sequence DESC LIMIT $5

-- name: revisions_of_device
SELECT sequence, collection, name, version, author, approver, reason, change_time, controller, record FROM change
WHERE device = $1 AND sequence < $2 AND collection = ANY ($3::text[]) AND ($4::text IS NULL OR controller = $4)
ORDER BY sequence DESC LIMIT $5
