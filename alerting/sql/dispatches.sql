-- name: list_sent
-- What was sent about an alert before, oldest first.
SELECT dispatch_id, recipient, send_time FROM dispatches WHERE alert_id = $1 ORDER BY change

-- name: write_dispatch
INSERT INTO dispatches (
    dispatch_id, alert_id, recipient, kind, change, send_time, content, reference_ids, reference_times, state,
    next_attempt_time
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: list_dispatches
SELECT * FROM dispatches WHERE recipient = $1 AND change > $2 AND change <= $3 ORDER BY change LIMIT $4

-- name: get_dispatch
SELECT * FROM dispatches WHERE dispatch_id = $1

-- name: set_receipt
UPDATE dispatches SET receipt_time = $2 WHERE dispatch_id = $1 AND receipt_time IS NULL

-- name: set_outcome
UPDATE dispatches
SET outcome = $2, outcome_note = $3, outcome_time = $4, receipt_time = coalesce(receipt_time, $4)
WHERE dispatch_id = $1

-- name: claim_dispatches
-- Takes what is due for some time; who took it and died loses it then. What follows another dispatch to the same recipient about the same
-- alert waits for that.
UPDATE dispatches AS d
SET attempts = d.attempts + 1, next_attempt_time = $2
WHERE d.dispatch_id IN (
    SELECT p.dispatch_id
    FROM dispatches AS p
    WHERE p.state = 2 AND p.next_attempt_time <= $1
        AND NOT EXISTS (
            SELECT FROM dispatches AS e
            WHERE e.alert_id = p.alert_id AND e.recipient = p.recipient AND e.change < p.change AND e.state = 2
        )
    ORDER BY p.next_attempt_time
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
RETURNING d.*

-- name: settle_dispatch
-- Only what is still as it was claimed: a later claim has the last word.
UPDATE dispatches
SET state = $3, next_attempt_time = $4, problem = $5
WHERE dispatch_id = $1 AND attempts = $2 AND state = 2
RETURNING alert_id

-- name: count_undelivered
SELECT recipient, count(*) AS waiting FROM dispatches WHERE state = 2 AND attempts > 0 GROUP BY recipient
