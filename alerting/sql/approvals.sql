-- name: get_approval
SELECT * FROM approvals WHERE approval_id = $1

-- name: lock_approval
SELECT * FROM approvals WHERE approval_id = $1 FOR UPDATE

-- name: find_approval
SELECT * FROM approvals WHERE author = $1 AND request_id = $2

-- name: list_approvals
-- Those that $1 asked for (none: everybody), only waiting ones if $2, older than ($4, $5), at most $6; $3 is the time.
SELECT * FROM approvals
WHERE ($1::text IS NULL OR author = $1)
    AND (NOT $2::boolean OR (state = 1 AND expire_time > $3::timestamptz))
    AND ($4::timestamptz IS NULL OR (create_time, approval_id) < ($4, $5))
ORDER BY create_time DESC, approval_id DESC
LIMIT $6

-- name: write_approval
INSERT INTO approvals (
    approval_id, kind, request, fingerprint, author, reason, create_time, expire_time, state, decider, decision_reason,
    decide_time, request_id
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (approval_id) DO UPDATE SET
    state = excluded.state, decider = excluded.decider, decision_reason = excluded.decision_reason,
    decide_time = excluded.decide_time, expire_time = excluded.expire_time

-- name: lock_break_glass_case
SELECT * FROM break_glass_cases WHERE case_id = $1 FOR UPDATE

-- name: list_break_glass_cases
-- Those of $1 (none: everybody's), only unreviewed ones if $2, older than ($3, $4), at most $5.
SELECT * FROM break_glass_cases
WHERE ($1::text IS NULL OR person = $1)
    AND (NOT $2::boolean OR justified IS NULL)
    AND ($3::timestamptz IS NULL OR (create_time, case_id) < ($3, $4))
ORDER BY create_time DESC, case_id DESC
LIMIT $5

-- name: list_rights_taken
SELECT DISTINCT right_taken FROM break_glass_cases WHERE person = ANY ($1) AND expire_time > $2::timestamptz

-- name: has_overdue_case
SELECT EXISTS (
    SELECT FROM break_glass_cases WHERE person = $1 AND justified IS NULL AND review_due_time <= $2::timestamptz
)

-- name: list_unreviewed_cases
SELECT case_id, right_taken, review_due_time FROM break_glass_cases WHERE justified IS NULL ORDER BY create_time

-- name: write_break_glass_case
INSERT INTO break_glass_cases (
    case_id, person, right_taken, reason, case_reference, create_time, expire_time, review_due_time, justified, reviewer,
    review_reason, review_time
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (case_id) DO UPDATE SET
    expire_time = excluded.expire_time, justified = excluded.justified, reviewer = excluded.reviewer,
    review_reason = excluded.review_reason, review_time = excluded.review_time
