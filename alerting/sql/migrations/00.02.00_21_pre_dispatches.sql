-- What operators have sent to the authorities: outbox, receipts and outcomes. A dispatch dies with its alert.
CREATE TABLE dispatches (
    dispatch_id text PRIMARY KEY,
    alert_id text NOT NULL REFERENCES alerts ON DELETE CASCADE,
    recipient text NOT NULL,
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    change bigint NOT NULL,
    send_time timestamptz NOT NULL,
    -- The alert as its recipient may see it, as it was then.
    content bytea NOT NULL,
    reference_ids text[] NOT NULL,
    reference_times timestamptz[] NOT NULL,
    -- 1 not pushed, 2 pending, 3 delivered, 4 given up.
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_time timestamptz,
    problem text NOT NULL DEFAULT '',
    receipt_time timestamptz,
    outcome smallint NOT NULL DEFAULT 0 CHECK (outcome BETWEEN 0 AND 4),
    outcome_note text NOT NULL DEFAULT '',
    outcome_time timestamptz,
    UNIQUE (recipient, change)
);
CREATE INDEX dispatches_alert ON dispatches (alert_id, recipient, change);
CREATE INDEX dispatches_pending ON dispatches (next_attempt_time) WHERE state = 2;

-- Without the content, for everybody who asks for an alert.
CREATE VIEW dispatch_states AS
SELECT dispatch_id, alert_id, recipient, change, state, attempts, problem, receipt_time, outcome, outcome_note, outcome_time
FROM dispatches;
