-- Queries of the registry. In the first section {table}, {columns}, {fields} and {controller} stand for those of one kind of
-- record (registry/store.py); they are filled in once, at start, from constants of the program. A parameter that names a
-- controller keeps the records of all others out of sight; null: none are.

-- name: controller_of_device
(SELECT legal_basis_controller FROM devices WHERE devices.name = substring(t.name FROM '^devices/[^/]+'))

-- name: site_of_device
-- A mobile device stands where admission last saw it placed.
COALESCE(t.site, (SELECT admissions.site FROM admissions WHERE admissions.name = t.name))

-- name: get_record
SELECT {fields} FROM {table} AS t WHERE name = $1 AND ($2::text IS NULL OR {controller} = $2)

-- name: lock_record
SELECT {fields} FROM {table} AS t WHERE name = $1 AND ($2::text IS NULL OR {controller} = $2) FOR UPDATE OF t

-- name: list_records
-- A page of $4 after the name $3 of those whose parent is like $2 and that a filter lets through.
SELECT {fields} FROM {table} AS t
WHERE ($1::text IS NULL OR {controller} = $1) AND parent LIKE $2 AND name > $3 AND ({condition})
ORDER BY name LIMIT $4

-- name: list_root_records
SELECT {fields} FROM {table} AS t
WHERE ($1::text IS NULL OR {controller} = $1) AND $2 = '' AND name > $3 AND ({condition})
ORDER BY name LIMIT $4

-- name: insert_root_record
INSERT INTO {table} AS t (name, {columns})
SELECT name, {columns} FROM jsonb_populate_record(NULL::{table}, $1::jsonb)
RETURNING {fields}

-- name: insert_record
-- Answers nothing if the device that it belongs to is not in sight of $2.
INSERT INTO {table} AS t (name, {columns})
SELECT name, {columns} FROM jsonb_populate_record(NULL::{table}, $1::jsonb) AS t
WHERE $2::text IS NULL OR {controller} = $2
RETURNING {fields}

-- name: update_record
UPDATE {table} AS t SET ({columns}) = (SELECT {columns} FROM jsonb_populate_record(NULL::{table}, $1::jsonb))
WHERE name = $1::jsonb ->> 'name'
RETURNING {fields}

-- name: delete_record
DELETE FROM {table} WHERE name = $1

-- name: records_of_devices
-- Every record of this kind below the devices $1.
SELECT {fields} FROM {table} AS t WHERE substring(name FROM '^devices/[^/]+') = ANY ($1::text[]) ORDER BY name

-- name: begin_change
-- Serialises writers, see change_clock. What follows in this transaction is put on record with these, see remember_change.
SELECT sequence, set_config('argo.author', $1, true), set_config('argo.reason', $2, true), set_config('argo.approver', $3, true)
FROM change_clock FOR UPDATE

-- name: page_secret
SELECT secret FROM change_clock

-- name: find_answer
SELECT fingerprint, response FROM answered_request WHERE controller = $1 AND request_id = $2

-- name: keep_answer
INSERT INTO answered_request (controller, request_id, fingerprint, response) VALUES ($1, $2, $3, $4)

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
-- What the changes after $1, up to $2, touched in sight of $3: optic is null where a whole device was.
SELECT DISTINCT device, optic FROM change
WHERE sequence > $1 AND sequence <= $2 AND device IS NOT NULL AND ($3::text IS NULL OR controller = $3)

-- name: gate_of_devices
-- What admission asks of the devices $1: a row for each, for a mobile one a row for each of its stays. The columns are
-- the fields of registry.domain.admission.Device, then of Deployment, in their order.
SELECT devices.name, address, COALESCE(devices.mobility = 'MOBILITY_MOBILE', false), COALESCE(devices.site, ''),
       COALESCE(legal_basis_purpose, 'PURPOSE_UNSPECIFIED') <> 'PURPOSE_UNSPECIFIED',
       COALESCE(legal_basis_dpia_reference, ''), COALESCE(legal_basis_sign_reference, ''),
       deployments.site, decision, start_time, end_time, deployments.name
FROM devices LEFT JOIN deployments ON deployments.parent = devices.name
WHERE devices.name = ANY ($1::text[])

-- name: admissions_of_devices
SELECT name, site, reasons, unconfirmed, optics FROM admissions WHERE name = ANY ($1::text[])

-- name: optic_versions
-- The number of the last change of anything in the configuration of each optic of the devices $1.
SELECT optics.name,
       GREATEST((SELECT max(sequence) FROM change WHERE change.optic = optics.name AND collection <> 'proposals'),
                (SELECT max(sequence) FROM change WHERE collection = 'devices' AND change.name = optics.parent),
                (SELECT max(sequence) FROM change WHERE collection = 'admissions' AND change.name = optics.parent)) AS version
FROM optics WHERE parent = ANY ($1::text[])

-- name: keep_admission
-- Answers a row only if it was a transition of a device that is still there.
INSERT INTO admissions AS a (name, site, reasons, unconfirmed, optics)
SELECT name, $2, $3, $4, $5 FROM devices WHERE name = $1
ON CONFLICT (name) DO UPDATE
SET site = EXCLUDED.site, reasons = EXCLUDED.reasons, unconfirmed = EXCLUDED.unconfirmed, optics = EXCLUDED.optics
WHERE (a.site, a.reasons, a.unconfirmed, a.optics)
    IS DISTINCT FROM (EXCLUDED.site, EXCLUDED.reasons, EXCLUDED.unconfirmed, EXCLUDED.optics)
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
