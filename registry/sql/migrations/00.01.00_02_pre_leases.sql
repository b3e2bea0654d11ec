-- Who works on which device. The clock of leases is PostgreSQL's own: replicas of the registry may disagree about the time.

CREATE TABLE gateways (
    replica text COLLATE "C" PRIMARY KEY,
    -- Optics that it can carry: as announced, or as many as were left when it gave a device back.
    capacity integer NOT NULL CHECK (capacity >= 0),
    -- The stream that speaks for it; null: none now.
    session uuid,
    -- The host that the stream comes from.
    host text NOT NULL,
    heartbeat_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz NOT NULL
);

CREATE TABLE leases (
    -- One holder per device, by key.
    device text COLLATE "C" PRIMARY KEY REFERENCES devices (name) ON DELETE CASCADE,
    replica text COLLATE "C" NOT NULL REFERENCES gateways (replica) ON DELETE CASCADE,
    expire_time timestamptz NOT NULL,
    -- To be ended: no longer renewed, and free once the holder has confirmed or the time is over.
    withdrawn boolean NOT NULL DEFAULT false,
    -- For whom it was withdrawn, if for another replica.
    successor text COLLATE "C"
);
CREATE INDEX lease_by_replica ON leases (replica);

CREATE FUNCTION notify_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('argo_registry', '');
    RETURN NULL;
END $$;
CREATE TRIGGER notify_lease AFTER INSERT OR DELETE OR UPDATE OF withdrawn ON leases
    FOR EACH ROW EXECUTE FUNCTION notify_lease();
CREATE TRIGGER notify_lease AFTER INSERT OR DELETE OR UPDATE OF session, capacity ON gateways
    FOR EACH ROW EXECUTE FUNCTION notify_lease();
