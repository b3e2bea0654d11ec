-- Queries of the registry. In the first section {table} and {columns} stand for those of one kind of record
-- (registry/resources.py); they are filled in once, at start, from constants of the program.

-- name: get_record
SELECT to_jsonb(t) FROM {table} AS t WHERE name = $1

-- name: lock_record
SELECT to_jsonb(t) FROM {table} AS t WHERE name = $1 FOR UPDATE

-- name: list_records
-- A page after the name $2 of those whose parent matches $1.
SELECT to_jsonb(t) FROM {table} AS t WHERE parent LIKE $1 AND name > $2 ORDER BY name LIMIT $3

-- name: list_root_records
SELECT to_jsonb(t) FROM {table} AS t WHERE name > $1 ORDER BY name LIMIT $2

-- name: insert_record
INSERT INTO {table} AS t (name, {columns})
SELECT name, {columns} FROM jsonb_populate_record(NULL::{table}, $1::jsonb)
RETURNING to_jsonb(t)

-- name: update_record
UPDATE {table} AS t SET ({columns}) = (SELECT {columns} FROM jsonb_populate_record(NULL::{table}, $1::jsonb))
WHERE name = $1::jsonb ->> 'name'
RETURNING to_jsonb(t)

-- name: delete_record
DELETE FROM {table} WHERE name = $1

-- name: records_of_devices
-- Every record of this kind below the devices $1.
SELECT to_jsonb(t) FROM {table} AS t WHERE substring(name FROM '^devices/[^/]+') = ANY ($1::text[]) ORDER BY name

-- name: begin_change
-- Serialises writers, see change_clock.
SELECT sequence, set_config('argo.author', $1, true) FROM change_clock FOR UPDATE

-- name: page_secret
SELECT secret FROM change_clock

-- name: find_answer
SELECT fingerprint, response FROM answered_request WHERE request_id = $1

-- name: keep_answer
INSERT INTO answered_request (request_id, fingerprint, response) VALUES ($1, $2, $3)

-- name: forget_answers
DELETE FROM answered_request WHERE answer_time < now() - interval '1 day'

-- name: sequence
SELECT sequence FROM change_clock

-- name: changed_devices
-- Devices touched by the changes after $1.
SELECT DISTINCT device FROM change WHERE sequence > $1 AND device IS NOT NULL

-- name: all_devices
SELECT name FROM devices

-- name: touched_after
-- What the changes after $1, up to $2, touched: optic is null where a whole device was.
SELECT DISTINCT device, optic FROM change WHERE sequence > $1 AND sequence <= $2 AND device IS NOT NULL

-- name: admissions_of_devices
SELECT name, site, reasons FROM admissions WHERE name = ANY ($1::text[])

-- name: optic_versions
-- The number of the last change of anything in the configuration of each optic of the devices $1.
SELECT optics.name,
       GREATEST((SELECT max(sequence) FROM change WHERE change.optic = optics.name),
                (SELECT max(sequence) FROM change WHERE collection = 'admissions' AND change.name = optics.parent)) AS version
FROM optics WHERE parent = ANY ($1::text[])

-- name: keep_admission
-- Answers a row only if it was a transition of a device that is still there.
INSERT INTO admissions AS a (name, site, reasons) SELECT name, $2, $3 FROM devices WHERE name = $1
ON CONFLICT (name) DO UPDATE SET site = EXCLUDED.site, reasons = EXCLUDED.reasons
WHERE (a.site, a.reasons) IS DISTINCT FROM (EXCLUDED.site, EXCLUDED.reasons)
RETURNING version

-- name: gateway_for_update
SELECT session, host, expire_time < now() AS expired, now() - heartbeat_time AS silence FROM gateways WHERE replica = $1 FOR UPDATE

-- name: attach_gateway
INSERT INTO gateways (replica, capacity, session, host, expire_time) VALUES ($1, $2, $3, $4, now() + $5)
ON CONFLICT (replica) DO UPDATE
SET capacity = $2, session = $3, host = $4, heartbeat_time = now(), expire_time = now() + $5

-- name: detach_gateway
UPDATE gateways SET session = NULL WHERE replica = $1 AND session = $2

-- name: renew_gateway
UPDATE gateways SET heartbeat_time = now(), expire_time = now() + $3 WHERE replica = $1 AND session = $2 RETURNING replica

-- name: renew_leases
UPDATE leases SET expire_time = now() + $2 WHERE replica = $1 AND NOT withdrawn AND expire_time > now()
RETURNING device, replica, expire_time, expire_time - now() AS remaining, withdrawn

-- name: confirm_withdrawals
-- The holder no longer works on these.
DELETE FROM leases WHERE replica = $1 AND withdrawn AND NOT device = ANY ($2::text[])

-- name: release_lease
DELETE FROM leases WHERE replica = $1 AND device = $2 RETURNING withdrawn

-- name: lower_capacity
-- What a gateway has given back unasked it cannot carry, nor anything in its place.
UPDATE gateways SET capacity = LEAST(capacity, (
    SELECT count(*) FROM leases JOIN optics ON optics.parent = leases.device
    WHERE leases.replica = $1 AND NOT leases.withdrawn
)) WHERE replica = $1

-- name: leases_of
SELECT device, replica, expire_time, expire_time - now() AS remaining, withdrawn FROM leases WHERE replica = ANY ($1::text[]) AND expire_time > now()

-- name: lock_planning
-- One replica of the registry plans at a time.
SELECT pg_advisory_xact_lock(hashtextextended('argo.registry.leases', 0))

-- name: expire_leases
DELETE FROM leases WHERE expire_time <= now()

-- name: expire_gateways
DELETE FROM gateways WHERE expire_time <= now() AND NOT EXISTS (SELECT FROM leases WHERE leases.replica = gateways.replica)

-- name: withdraw_refused
-- A lease ends with its admission.
UPDATE leases SET withdrawn = true, successor = NULL
WHERE NOT withdrawn AND device IN (SELECT name FROM admissions WHERE cardinality(reasons) > 0)

-- name: live_gateways
SELECT replica, capacity, session IS NOT NULL AS connected FROM gateways WHERE expire_time > now() ORDER BY replica

-- name: leasable_devices
-- Admitted devices that have optics, with the number of them and their present lease.
SELECT admissions.name AS device, count(optics.name) AS optics, leases.replica, leases.withdrawn, leases.successor
FROM admissions
JOIN optics ON optics.parent = admissions.name
LEFT JOIN leases ON leases.device = admissions.name
WHERE cardinality(admissions.reasons) = 0
GROUP BY admissions.name, leases.device
ORDER BY admissions.name

-- name: grant_lease
-- A device that somebody is changing at this moment is skipped; the next round finds it again.
INSERT INTO leases (device, replica, expire_time)
SELECT name, $2, now() + $3 FROM (SELECT name FROM devices WHERE name = $1 FOR KEY SHARE SKIP LOCKED) AS free
ON CONFLICT (device) DO NOTHING

-- name: move_lease
UPDATE leases SET withdrawn = true, successor = $2 WHERE device = $1 AND NOT withdrawn
