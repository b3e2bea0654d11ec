-- Queries of the public register. {table} and {columns} stand for those of one kind of record, see queries.sql.

-- name: records
SELECT {columns} FROM {table} ORDER BY name

-- name: placement_requests
-- No more than what is public of them.
SELECT jsonb_strip_nulls(jsonb_build_object(
    'site', site, 'measures', measures, 'state', state, 'decision', decision, 'decision_time', decision_time
)) FROM placement_requests ORDER BY name

-- name: admissions
SELECT name, site, reasons FROM admissions

-- name: sequence
SELECT sequence FROM change_clock
