-- Queries of what goes through steps: legal holds, and requests for cameras and light.

-- name: steps
-- The steps of the records $2 of the collection $1, in their order.
SELECT name, record ->> 'state' AS state, author, change_time, reason FROM change
WHERE collection = $1 AND name = ANY ($2::text[]) AND record IS NOT NULL
ORDER BY sequence

-- name: open_holds
-- Those that somebody or time can still end.
SELECT name, state, expire_time <= $1 AS overdue FROM holds WHERE state IN ('STATE_PROPOSED', 'STATE_ACTIVE') ORDER BY name

-- name: stay_of_deployment
-- In sight of $2.
SELECT deployments.site, start_time FROM deployments JOIN devices ON devices.name = deployments.parent
WHERE deployments.name = $1 AND ($2::text IS NULL OR legal_basis_controller = $2)

-- name: held_intervals
-- A page of $3 after ($4, $5, $6) of what the holds keep that are active at $2, in sight of $1. A hold on a site keeps the
-- pictures of the devices of its controller from when they stood there: as the gate knew it at the time, which the history
-- remembers also of devices and optics that are gone, and as their deployments say, since the gate follows those a moment later.
WITH active AS (
    SELECT name, scope, controller, expire_time, tstzrange(interval_start_time, interval_end_time) AS captured FROM holds
    WHERE state = 'STATE_ACTIVE' AND expire_time > $2 AND ($1::text IS NULL OR controller = $1)
),
stays AS (
    SELECT active.name AS hold, here.name AS device, tstzrange(
        here.change_time,
        -- Null where it stands there still. The times of two changes that waited for each other may run against their order.
        (SELECT GREATEST(next.change_time, here.change_time) FROM change AS next
            WHERE next.collection = 'admissions' AND next.name = here.name AND next.sequence > here.sequence
            ORDER BY next.sequence LIMIT 1)
    ) AS stay
    FROM active JOIN change AS here
        ON here.collection = 'admissions' AND here.record ->> 'site' = active.scope AND here.controller = active.controller
    UNION ALL
    SELECT active.name, deployments.parent, tstzrange(deployments.start_time, deployments.end_time)
    FROM active
    JOIN deployments ON deployments.site = active.scope
    JOIN devices ON devices.name = deployments.parent AND devices.legal_basis_controller = active.controller
),
kept AS (
    SELECT active.name AS hold, scope AS optic, expire_time, captured FROM active WHERE scope LIKE 'devices/%'
    UNION ALL
    SELECT active.name, optics.optic, expire_time, unnest(merged.stays * tstzmultirange(captured))
    FROM active
    JOIN (SELECT hold, device, range_agg(stay) AS stays FROM stays GROUP BY hold, device) AS merged ON merged.hold = active.name
    JOIN LATERAL (
        -- Between the names with a '/' after "optics" and those with the next character in its place.
        SELECT DISTINCT change.optic FROM change WHERE change.optic > merged.device || '/optics/' AND change.optic < merged.device || '/optics0'
    ) AS optics ON true
)
SELECT hold, optic, lower(captured) AS start_time, upper(captured) AS end_time, expire_time FROM kept
WHERE (hold, optic, lower(captured)) > ($4::text COLLATE "C", $5::text COLLATE "C", $6::timestamptz)
ORDER BY hold COLLATE "C", optic COLLATE "C", lower(captured) LIMIT $3
