-- What one person asks for and another one grants. The numbers are those of argo.alerting.v1.Approval.State; a state that time
-- brings (expired) is never written.
CREATE TABLE approvals (
    approval_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('search', 'export')),
    request bytea NOT NULL,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    author text NOT NULL CHECK (author <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    decider text NOT NULL,
    decision_reason text NOT NULL,
    decide_time timestamptz,
    request_id uuid,
    -- Never oneself, in whatever role: the person is what follows the last slash.
    CHECK (state <> 2 OR lower(regexp_replace(decider, '.*/', '')) <> lower(regexp_replace(author, '.*/', ''))),
    CHECK ((state = 1) = (decider = '') AND (state = 1) = (decide_time IS NULL)),
    UNIQUE (author, request_id)
);
CREATE INDEX approvals_newest ON approvals (create_time DESC, approval_id DESC);
