-- Takes the audit log of one schema out of the reach of the service that writes it. For a superuser, who sets
-- argo.audit_schema (the service's schema) and argo.audit_service (the role with which the service logs in) beforehand:
--   PGOPTIONS='-c argo.audit_schema=registry -c argo.audit_service=registry' psql --file protect.sql
-- May be repeated. The tables of the service stay the service's own, and it goes on making new ones.
DO $$
DECLARE
    home text := current_setting('argo.audit_schema');
    service text := current_setting('argo.audit_service');
    keeper text := home || '_audit';
    entries text := format('%I.audit_entries', home);
    work regprocedure;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = keeper) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', keeper);
    END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = service) OR pg_has_role(service, keeper, 'MEMBER') THEN
        RAISE EXCEPTION 'the role % could undo it: it is a superuser or a member of %', service, keeper;
    END IF;
    EXECUTE format('ALTER SCHEMA %I OWNER TO %I', home, keeper);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', home, service);
    EXECUTE format('ALTER TABLE %s OWNER TO %I', entries, keeper);
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, %I', entries, service);
    EXECUTE format('GRANT INSERT, SELECT ON %s TO %I', entries, service);
    FOR work IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = to_regnamespace(quote_ident(home))
          AND proname IN ('refuse_change_of_audit_entries', 'append_audit_entry')
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', work, keeper);
    END LOOP;
    -- Made by whoever migrated first; the service's own migrations are written down there, too.
    EXECUTE format('ALTER TABLE %I.argo_migrations OWNER TO %I', home, service);
END
$$;
