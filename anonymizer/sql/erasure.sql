-- Queries of erasure.

-- name: add_keys
-- Keys that are in the store and that nothing is known of: they may live as long as any.
INSERT INTO data_keys (optic, day, retention_seconds)
SELECT optic, day, 604800 FROM unnest($1::text[], $2::date[]) AS told (optic, day)
ON CONFLICT DO NOTHING

-- name: due_segments
-- Those whose term is over at $1, after the position ($2, $3, $4).
SELECT optic, start_time, milliseconds, retention_seconds, bytes, expire_time
FROM segments
WHERE expire_time <= $1 AND (expire_time, optic, start_time) > ($2, $3, $4)
ORDER BY expire_time, optic, start_time
LIMIT $5

-- name: forget_segments
-- Takes erased segments out of the index and counts them; what another replica has counted is not there any more.
WITH gone AS (
    DELETE FROM segments USING unnest($1::text[], $2::timestamptz[], $3::int[], $4::int[])
        AS told (optic, start_time, milliseconds, retention_seconds)
    WHERE segments.optic = told.optic AND segments.start_time = told.start_time
      AND segments.milliseconds = told.milliseconds AND segments.retention_seconds = told.retention_seconds
    RETURNING segments.*
)
INSERT INTO erasures (erase_time, optic, segments, bytes, keys, first_capture, last_capture)
SELECT $5, optic, count(*), sum(bytes), 0, min(start_time),
       max(start_time + make_interval(secs => milliseconds / 1000.0))
FROM gone GROUP BY optic
RETURNING segments

-- name: due_keys
-- Keys of days that are over with every term of theirs at $1, and that seal nothing that is in the index.
SELECT optic, day FROM data_keys
WHERE (day + 1)::timestamp AT TIME ZONE 'UTC' + make_interval(secs => retention_seconds) <= $1
  AND NOT EXISTS (
      SELECT FROM segments WHERE segments.optic = data_keys.optic
        AND start_time >= day::timestamp AT TIME ZONE 'UTC' AND start_time < (day + 1)::timestamp AT TIME ZONE 'UTC'
  )
ORDER BY optic, day
LIMIT $2

-- name: forget_keys
WITH gone AS (
    DELETE FROM data_keys USING unnest($1::text[], $2::date[]) AS told (optic, day)
    WHERE data_keys.optic = told.optic AND data_keys.day = told.day
    RETURNING data_keys.*
)
INSERT INTO erasures (erase_time, optic, segments, bytes, keys)
SELECT $3, optic, 0, 0, count(*) FROM gone GROUP BY optic

-- name: claim_erasures
-- From here on these stand in the report of day $1. What a report that was never made should have counted is among them.
UPDATE erasures SET report = $1 WHERE erase_time < $2 AND report IS DISTINCT FROM $1

-- name: claimed_erasures
SELECT optic, sum(segments)::bigint AS segments, sum(bytes)::bigint AS bytes, sum(keys)::bigint AS keys,
       min(first_capture) AS first_capture, max(last_capture) AS last_capture
FROM erasures WHERE report = $1 GROUP BY optic ORDER BY optic

-- name: settle_report
INSERT INTO erasure_reports (day, sha256) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING day

-- name: forget_erasures
DELETE FROM erasures WHERE report <= $1

-- name: last_report
SELECT max(day) AS day FROM erasure_reports

-- name: list_reports
SELECT day, sha256 FROM erasure_reports WHERE day > $1 ORDER BY day LIMIT $2
