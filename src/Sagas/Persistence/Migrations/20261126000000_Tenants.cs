using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Sagas.Persistence.Migrations;

[DbContext(typeof(PlatformDbContext))]
[Migration("20261126000000_Tenants")]
public sealed class Tenants : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Columns);
        migrationBuilder.Sql(Keys);
        migrationBuilder.Sql(Audit);
        migrationBuilder.Sql(Roles);
        migrationBuilder.Sql(Rights);
    }

    const string Columns =
        """
        ALTER TABLE sagas.work_jobs ADD COLUMN requested_by text, ADD COLUMN result_bytes bigint NOT NULL DEFAULT 0;

        ALTER TABLE sagas.work_units ADD COLUMN tenant text;
        UPDATE sagas.work_units u SET tenant = j.tenant FROM sagas.work_jobs j WHERE j.id = u.job_id;
        ALTER TABLE sagas.work_units ALTER COLUMN tenant SET NOT NULL;

        -- Whose request put it there; nothing for what the platform sends by itself.
        ALTER TABLE messaging.outbox ADD COLUMN tenant text DEFAULT nullif(current_setting('sagas.tenant', true), '');
        """;

    const string Keys =
        """
        CREATE TABLE sagas.api_keys (
            id text PRIMARY KEY,
            tenant text NOT NULL CHECK (tenant <> ''),
            name text NOT NULL,
            scopes text[] NOT NULL,
            sha256 bytea NOT NULL,
            created_at timestamptz NOT NULL,
            created_by text NOT NULL,
            expires_at timestamptz,
            revoked_at timestamptz,
            last_used_at timestamptz,
            rotated_to text
        );
        CREATE INDEX api_keys_list ON sagas.api_keys (tenant, created_at DESC, id DESC);
        """;

    // Each field with its length before it: no two entries are the same bytes.
    const string Audit =
        """
        CREATE TABLE sagas.audit_entries (
            tenant text NOT NULL,
            seq bigint NOT NULL,
            at timestamptz NOT NULL,
            actor text NOT NULL,
            actor_name text,
            action text NOT NULL,
            subject text NOT NULL,
            reason text,
            trace text,
            previous_hash bytea NOT NULL,
            hash bytea NOT NULL,
            PRIMARY KEY (tenant, seq)
        );
        CREATE TABLE sagas.audit_heads (
            tenant text PRIMARY KEY CHECK (tenant <> ''),
            seq bigint NOT NULL,
            hash bytea NOT NULL
        );

        CREATE FUNCTION sagas.refuse_change() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'The audit is only ever added to.'; END $$;
        CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE ON sagas.audit_entries FOR EACH ROW EXECUTE FUNCTION sagas.refuse_change();
        CREATE TRIGGER only_added_to_whole BEFORE TRUNCATE ON sagas.audit_entries FOR EACH STATEMENT EXECUTE FUNCTION sagas.refuse_change();

        CREATE FUNCTION sagas.audit_field(value text) RETURNS bytea LANGUAGE sql IMMUTABLE AS
            $$ SELECT CASE WHEN value IS NULL THEN int4send(-1) ELSE int4send(octet_length(convert_to(value, 'UTF8'))) || convert_to(value, 'UTF8') END $$;

        -- Runs with its owner's rights: whoever asks for an entry can neither choose its tenant nor touch another.
        CREATE FUNCTION sagas.append_audit(actor text, actor_name text, action text, subject text, reason text, trace text) RETURNS bigint
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
        $$
        DECLARE
            whose text := nullif(current_setting('sagas.tenant', true), '');
            at timestamptz := clock_timestamp();
            head sagas.audit_heads;
            number bigint;
            sealed bytea;
        BEGIN
            IF whose IS NULL THEN
                RAISE EXCEPTION 'An audit entry needs a tenant.';
            END IF;
            INSERT INTO sagas.audit_heads VALUES (whose, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
            SELECT * INTO head FROM sagas.audit_heads h WHERE h.tenant = whose FOR UPDATE;
            number := head.seq + 1;
            sealed := sha256(head.hash || int8send(number) || int8send((extract(epoch FROM at) * 1000000)::bigint)
                || sagas.audit_field(whose) || sagas.audit_field(actor) || sagas.audit_field(actor_name) || sagas.audit_field(action)
                || sagas.audit_field(subject) || sagas.audit_field(reason) || sagas.audit_field(trace));
            INSERT INTO sagas.audit_entries VALUES (whose, number, at, actor, actor_name, action, subject, reason, trace, head.hash, sealed);
            UPDATE sagas.audit_heads h SET seq = number, hash = sealed WHERE h.tenant = whose;
            RETURN number;
        END
        $$;
        """;

    // Names as in PlatformRoles. Who may not make roles finds them made, or reads here what to ask for.
    const string Roles =
        """
        DO $$
        DECLARE
            role text;
            part record;
        BEGIN
            FOREACH role IN ARRAY ARRAY[current_database() || '_system', current_database() || '_tenant'] LOOP
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
                    BEGIN
                        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
                    EXCEPTION WHEN insufficient_privilege THEN
                        RAISE EXCEPTION 'The login % may not make roles. As a superuser: ALTER ROLE % CREATEROLE, or CREATE ROLE % and GRANT % TO %',
                            current_user, quote_ident(current_user), quote_ident(role), quote_ident(role), quote_ident(current_user) USING ERRCODE = '42501';
                    END;
                END IF;
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = role AND (rolsuper OR rolbypassrls)) THEN
                    RAISE EXCEPTION 'The role % could bypass row-level security: ALTER ROLE % NOSUPERUSER NOBYPASSRLS', role, quote_ident(role);
                END IF;
                -- Who makes a role is its administrator from PostgreSQL 16 on, and yet may not act as it.
                IF NOT pg_has_role(current_user, role, 'USAGE') THEN
                    EXECUTE format('GRANT %I TO CURRENT_USER', role);
                END IF;
            END LOOP;

            role := current_database() || '_system';
            FOR part IN SELECT nspname AS name FROM pg_namespace WHERE nspname IN ('sagas', 'messaging') LOOP
                EXECUTE format('ALTER SCHEMA %I OWNER TO %I', part.name, role);
            END LOOP;
            FOR part IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('sagas', 'messaging') LOOP
                EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', part.schemaname, part.tablename, role);
            END LOOP;
            FOR part IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'sagas'::regnamespace LOOP
                EXECUTE format('ALTER FUNCTION %s OWNER TO %I', part.name, role);
            END LOOP;
        END $$;
        """;

    // Row-level security binds everybody but the tables' owner.
    const string Rights =
        """
        DO $$
        DECLARE
            role text := current_database() || '_tenant';
            whose text;
        BEGIN
            EXECUTE format('GRANT USAGE ON SCHEMA sagas, messaging TO %I', role);
            EXECUTE format('GRANT SELECT, INSERT, UPDATE ON sagas.work_jobs, sagas.idempotent_requests TO %I', role);
            EXECUTE format('GRANT SELECT, UPDATE ON sagas.work_units TO %I', role);
            EXECUTE format('GRANT SELECT, INSERT ON sagas.models TO %I', role);
            EXECUTE format('GRANT SELECT ON sagas.batch_jobs, sagas.audit_entries, sagas.audit_heads TO %I', role);
            EXECUTE format('GRANT SELECT (id, tenant, name, scopes, created_at, created_by, expires_at, revoked_at, last_used_at, rotated_to), INSERT, '
                'UPDATE (expires_at, revoked_at, rotated_to) ON sagas.api_keys TO %I', role);
            FOREACH whose IN ARRAY ARRAY['work_jobs', 'work_units', 'batch_jobs', 'models', 'idempotent_requests', 'api_keys', 'audit_entries', 'audit_heads'] LOOP
                EXECUTE format('ALTER TABLE sagas.%I ENABLE ROW LEVEL SECURITY', whose);
                EXECUTE format('CREATE POLICY own_rows ON sagas.%I TO %I USING (tenant = current_setting(''sagas.tenant'', true)) '
                    'WITH CHECK (tenant = current_setting(''sagas.tenant'', true))', whose, role);
            END LOOP;
            ALTER TABLE sagas.work_workers ENABLE ROW LEVEL SECURITY;

            REVOKE ALL ON FUNCTION sagas.append_audit(text, text, text, text, text, text) FROM PUBLIC;
            EXECUTE format('GRANT EXECUTE ON FUNCTION sagas.append_audit(text, text, text, text, text, text) TO %I', role);

            -- A request adds messages, and takes back those of its own jobs that are not sent yet.
            EXECUTE format('GRANT INSERT, DELETE, SELECT (id, tenant, group_key, message_type, visible_at) ON messaging.outbox TO %I', role);
            ALTER TABLE messaging.outbox ENABLE ROW LEVEL SECURITY;
            EXECUTE format('CREATE POLICY own_messages ON messaging.outbox TO %I USING (tenant = current_setting(''sagas.tenant'', true) OR EXISTS ('
                'SELECT FROM sagas.work_jobs j WHERE j.id = CASE WHEN group_key ~ ''^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'' THEN group_key::uuid END)) '
                'WITH CHECK (tenant = current_setting(''sagas.tenant'', true))', role);
            ALTER TABLE messaging.inbox ENABLE ROW LEVEL SECURITY;
            ALTER TABLE messaging.dead ENABLE ROW LEVEL SECURITY;
        END $$;
        """;
}
