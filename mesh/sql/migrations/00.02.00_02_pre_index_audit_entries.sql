-- For an auditor's question about a time. A block range index costs an append next to nothing: times run with the sequence.
CREATE INDEX IF NOT EXISTS audit_entries_time ON audit_entries USING brin (recorded_at);
