-- Whole fleets. {table}, {columns} and {new_columns} stand for those of one kind of record (registry/onboarding/fleet_store.py);
-- they are filled in once, at start, from constants of the program.

-- name: records_named
SELECT to_jsonb(t) FROM {table} AS t WHERE name = ANY ($1::text[])

-- name: records_below
SELECT to_jsonb(t) FROM {table} AS t WHERE parent = ANY ($1::text[])

-- name: devices_at
SELECT address, name FROM devices WHERE address = ANY ($1::text[])

-- name: judge_at_end
-- Rows of several statements may trade addresses and times; what they come to is judged at the end of the transaction.
SET CONSTRAINTS device_address_unique, deployment_overlaps DEFERRED

-- name: judge_now
SET CONSTRAINTS device_address_unique, deployment_overlaps IMMEDIATE

-- name: insert_records
INSERT INTO {table} (name, {columns})
SELECT name, {columns} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)

-- name: update_records
UPDATE {table} AS t SET ({columns}) = ROW ({new_columns})
FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb) AS new
WHERE t.name = new.name

-- name: export_controllers
SELECT to_jsonb(t) FROM controllers AS t ORDER BY name

-- name: export_sites
SELECT to_jsonb(t) FROM sites AS t WHERE controller = $1 ORDER BY name

-- name: export_devices
SELECT to_jsonb(t) FROM devices AS t WHERE legal_basis_controller = $1 ORDER BY name

-- name: export_optics
SELECT to_jsonb(t) FROM optics AS t JOIN devices ON devices.name = t.parent WHERE legal_basis_controller = $1 ORDER BY t.name

-- name: export_deployments
SELECT to_jsonb(t) FROM deployments AS t JOIN devices ON devices.name = t.parent
WHERE legal_basis_controller = $1 ORDER BY t.name
