using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Sagas.Persistence.Migrations;

[DbContext(typeof(PlatformDbContext))]
[Migration("20261127000000_ModelRegistry")]
public sealed class ModelRegistry : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Columns);
        migrationBuilder.Sql(Tables);
        migrationBuilder.Sql(Rights);
    }

    const string Columns =
        """
        ALTER TABLE sagas.models
            ADD COLUMN labels jsonb NOT NULL DEFAULT '{}',
            ADD COLUMN card text,
            ADD COLUMN peak_load_bytes bigint NOT NULL DEFAULT 0,
            ADD COLUMN peak_batch_bytes bigint NOT NULL DEFAULT 0,
            ADD COLUMN golden text,
            ADD COLUMN files jsonb;
        """;

    const string Tables =
        """
        CREATE TABLE sagas.model_aliases (
            tenant text NOT NULL,
            model text NOT NULL,
            alias text NOT NULL,
            version text NOT NULL,
            moved_at timestamptz NOT NULL,
            moved_by text NOT NULL,
            PRIMARY KEY (tenant, model, alias),
            FOREIGN KEY (tenant, model, version) REFERENCES sagas.models (tenant, name, version)
        );
        CREATE TABLE sagas.model_alias_moves (
            tenant text NOT NULL,
            model text NOT NULL,
            alias text NOT NULL,
            seq bigint NOT NULL,
            from_version text,
            to_version text,
            at timestamptz NOT NULL,
            actor text NOT NULL,
            actor_name text,
            reason text NOT NULL,
            PRIMARY KEY (tenant, model, alias, seq)
        );
        CREATE TABLE sagas.model_adapters (
            tenant text NOT NULL,
            model text NOT NULL,
            version text NOT NULL,
            name text NOT NULL,
            sha256 text NOT NULL,
            uri text NOT NULL,
            bytes bigint NOT NULL,
            registered_at timestamptz NOT NULL,
            registered_by text NOT NULL,
            PRIMARY KEY (tenant, model, version, name),
            FOREIGN KEY (tenant, model, version) REFERENCES sagas.models (tenant, name, version)
        );

        CREATE FUNCTION sagas.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '% is only ever added to.', TG_TABLE_NAME; END $$;
        CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE ON sagas.model_alias_moves FOR EACH ROW EXECUTE FUNCTION sagas.refuse_rewriting();
        CREATE TRIGGER only_added_to_whole BEFORE TRUNCATE ON sagas.model_alias_moves FOR EACH STATEMENT EXECUTE FUNCTION sagas.refuse_rewriting();
        """;

    const string Rights =
        """
        DO $$
        DECLARE
            system text := current_database() || '_system';
            role text := current_database() || '_tenant';
            whose text;
        BEGIN
            FOREACH whose IN ARRAY ARRAY['model_aliases', 'model_alias_moves', 'model_adapters'] LOOP
                EXECUTE format('ALTER TABLE sagas.%I OWNER TO %I', whose, system);
                EXECUTE format('ALTER TABLE sagas.%I ENABLE ROW LEVEL SECURITY', whose);
                EXECUTE format('CREATE POLICY own_rows ON sagas.%I TO %I USING (tenant = current_setting(''sagas.tenant'', true)) '
                    'WITH CHECK (tenant = current_setting(''sagas.tenant'', true))', whose, role);
            END LOOP;
            EXECUTE format('ALTER FUNCTION sagas.refuse_rewriting() OWNER TO %I', system);
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON sagas.model_aliases TO %I', role);
            EXECUTE format('GRANT SELECT, INSERT ON sagas.model_alias_moves, sagas.model_adapters TO %I', role);
            EXECUTE format('GRANT UPDATE (description, labels, card) ON sagas.models TO %I', role);
        END $$;
        """;
}
