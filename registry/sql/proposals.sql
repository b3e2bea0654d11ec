-- Queries of the proposals. A parameter that names a controller keeps those for records of all others out of sight; null: none are.

-- name: controller
(SELECT legal_basis_controller FROM devices WHERE devices.name = substring(t.name FROM '^devices/[^/]+'))

-- name: fields
t.name, t.version, t.create_time, t.rule, t.zone, t.line, t.lane, t.update_mask,
t.state, t.author, t.reason, t.decider, t.decision_reason, t.decide_time

-- name: get_proposal
SELECT {fields} FROM proposals AS t WHERE name = $1 AND ($2::text IS NULL OR {controller} = $2)

-- name: lock_proposal
SELECT {fields} FROM proposals AS t WHERE name = $1 AND ($2::text IS NULL OR {controller} = $2) FOR UPDATE OF t

-- name: list_proposals
-- A page of $4 after the name $3 of those whose parent is like $2 and that a filter lets through.
SELECT {fields} FROM proposals AS t
WHERE ($1::text IS NULL OR {controller} = $1) AND parent LIKE $2 AND name > $3 AND ({condition})
ORDER BY name LIMIT $4

-- name: insert_proposal
INSERT INTO proposals AS t (name, rule, zone, line, lane, update_mask, state, author, reason)
VALUES ($1, $2::jsonb, $3::jsonb, $4::jsonb, $5::jsonb, $6::jsonb, 'STATE_PROPOSED', $7, $8)
RETURNING {fields}

-- name: is_calibrated
SELECT calibrated FROM optics WHERE name = $1

-- name: decide_proposal
UPDATE proposals AS t SET state = $2, decider = $3, decision_reason = $4, decide_time = now() WHERE name = $1
RETURNING {fields}

-- name: act_for
-- What follows in this transaction is the author's change for the author's reason, with an approver.
SELECT set_config('argo.author', $1, true), set_config('argo.reason', $2, true), set_config('argo.approver', $3, true)
