-- Queries of the index of recordings.

-- name: add_segments
-- Those whose bytes are safe in the store at $6; a segment that is told twice stands once. A capture time that lies ahead, of a clock
-- that went wrong, lets nothing live longer.
WITH told AS (
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::int[], $4::int[], $5::bigint[])
        AS told (optic, start_time, milliseconds, retention_seconds, bytes)
), indexed AS (
    INSERT INTO segments (optic, start_time, milliseconds, retention_seconds, bytes, expire_time)
    SELECT told.*, least(told.start_time, $6::timestamptz) + make_interval(secs => told.retention_seconds) FROM told
    ON CONFLICT DO NOTHING
)
INSERT INTO data_keys (optic, day, retention_seconds)
SELECT optic, (start_time AT TIME ZONE 'UTC')::date, max(retention_seconds) FROM told GROUP BY 1, 2
ON CONFLICT (optic, day) DO UPDATE
    SET retention_seconds = greatest(data_keys.retention_seconds, excluded.retention_seconds)

-- name: segments_between
-- Those of an optic with pictures from $2 until before $3, by time, that are within their term at $4 or overlap a time that is held
-- (from $5 until before $6). No segment is longer than an hour, so that the index serves.
SELECT optic, start_time, milliseconds, retention_seconds, bytes
FROM segments
WHERE optic = $1 AND start_time >= $2::timestamptz - interval '1 hour' AND start_time < $3
  AND start_time + make_interval(secs => milliseconds / 1000.0) >= $2
  AND (expire_time > $4 OR EXISTS (
      SELECT FROM unnest($5::timestamptz[], $6::timestamptz[]) AS held (start_time, end_time)
      WHERE held.start_time <= segments.start_time + make_interval(secs => milliseconds / 1000.0)
        AND segments.start_time < held.end_time
  ))
ORDER BY start_time, milliseconds, retention_seconds

-- name: stretches_between
-- The same segments as unbroken stretches with one term: a new one begins where the next picture is more than $7 seconds away.
WITH recorded AS (
    SELECT start_time, retention_seconds, bytes, expire_time,
           start_time + make_interval(secs => milliseconds / 1000.0) AS end_time
    FROM segments
    WHERE optic = $1 AND start_time >= $2::timestamptz - interval '1 hour' AND start_time < $3
), marked AS (
    SELECT *,
           COALESCE(start_time > max(end_time) OVER before + make_interval(secs => $7)
                    OR retention_seconds <> lag(retention_seconds) OVER (ORDER BY start_time, end_time), true) AS is_new
    FROM recorded
    WHERE end_time >= $2 AND (expire_time > $4 OR EXISTS (
        SELECT FROM unnest($5::timestamptz[], $6::timestamptz[]) AS held (start_time, end_time)
        WHERE held.start_time <= recorded.end_time AND recorded.start_time < held.end_time
    ))
    WINDOW before AS (ORDER BY start_time, end_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_new) OVER (ORDER BY start_time, end_time) AS number FROM marked
)
SELECT min(start_time) AS start_time, max(end_time) AS end_time, min(expire_time) AS expire_time
FROM numbered
GROUP BY number
ORDER BY number
OFFSET $8 LIMIT $9

-- name: recorded_between
-- When optics were recorded between $2 and $3, as unbroken stretches: a new one begins where the next picture is more than $4 seconds
-- away.
WITH recorded AS (
    SELECT optic, start_time, start_time + make_interval(secs => milliseconds / 1000.0) AS end_time
    FROM segments
    WHERE optic = ANY($1) AND start_time >= $2::timestamptz - interval '1 hour' AND start_time < $3
), marked AS (
    SELECT *, COALESCE(start_time > max(end_time) OVER before + make_interval(secs => $4), true) AS is_new
    FROM recorded
    WHERE end_time >= $2
    WINDOW before AS (PARTITION BY optic ORDER BY start_time, end_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_new) OVER (PARTITION BY optic ORDER BY start_time, end_time) AS number FROM marked
)
SELECT optic, min(start_time) AS start_time, max(end_time) AS end_time
FROM numbered
GROUP BY optic, number
ORDER BY optic, number
