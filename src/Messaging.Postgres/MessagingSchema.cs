using Microsoft.EntityFrameworkCore.Migrations;

namespace Messaging.Postgres;

/// <summary>The tables of durable messaging, all in the schema <c>messaging</c>.</summary>
public static class MessagingSchema
{
    /// <summary>Creates what is missing. It can run any number of times.</summary>
    // visible_at: until then the row is somebody's (a lease) or waits (a schedule). Its default is the lease of a new row, by the clock
    // at the insert: a transaction may have begun long before. The interval is OutboxLease.Duration.
    // The inbox gets its first days here, before anybody consumes; later ones are added while rows come in.
    // Bodies are compressed poorly and read once: EXTERNAL saves the attempt. Rows live for milliseconds, hence the vacuum settings.
    public const string Sql =
        """
        CREATE SCHEMA IF NOT EXISTS messaging;

        CREATE TABLE IF NOT EXISTS messaging.outbox (
            id uuid NOT NULL PRIMARY KEY,
            message_id uuid NOT NULL,
            destination text NOT NULL,
            message_type text NOT NULL,
            content_type text NOT NULL,
            headers text NULL,
            body bytea NOT NULL,
            sent_at timestamptz NOT NULL,
            expires_at timestamptz NULL,
            visible_at timestamptz NOT NULL DEFAULT (clock_timestamp() + interval '10 seconds'),
            due_at timestamptz NULL,
            token_id uuid NULL,
            group_key text NULL,
            attempts integer NOT NULL DEFAULT 0,
            last_error text NULL
        ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
        ALTER TABLE messaging.outbox ALTER COLUMN body SET STORAGE EXTERNAL;
        CREATE INDEX IF NOT EXISTS outbox_visible_at ON messaging.outbox (visible_at);
        CREATE INDEX IF NOT EXISTS outbox_token_id ON messaging.outbox (token_id) WHERE token_id IS NOT NULL;
        CREATE INDEX IF NOT EXISTS outbox_group_key ON messaging.outbox (group_key) WHERE group_key IS NOT NULL;

        CREATE TABLE IF NOT EXISTS messaging.inbox (
            day date NOT NULL,
            message_id uuid NOT NULL,
            consumer uuid NOT NULL,
            PRIMARY KEY (day, message_id, consumer)
        ) PARTITION BY RANGE (day);
        CREATE TABLE IF NOT EXISTS messaging.inbox_default PARTITION OF messaging.inbox DEFAULT;
        DO $$
        DECLARE today date := (now() AT TIME ZONE 'utc')::date;
        BEGIN
            IF (SELECT count(*) FROM pg_inherits WHERE inhparent = 'messaging.inbox'::regclass) = 1 THEN
                FOR day IN 0..7 LOOP
                    EXECUTE format('CREATE TABLE messaging.inbox_%s PARTITION OF messaging.inbox FOR VALUES FROM (%L) TO (%L)',
                        to_char(today + day, 'YYYYMMDD'), today + day, today + day + 1);
                END LOOP;
            END IF;
        END $$;

        CREATE TABLE IF NOT EXISTS messaging.dead (
            id uuid NOT NULL PRIMARY KEY,
            died_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            queue text NOT NULL,
            reason text NOT NULL,
            message_id uuid NULL,
            message_type text NOT NULL,
            content_type text NOT NULL,
            headers text NULL,
            body bytea NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            group_key text NULL,
            error text NULL,
            stack text NULL
        );
        CREATE INDEX IF NOT EXISTS dead_died_at ON messaging.dead (died_at);
        """;

    public static void CreateMessagingSchema(this MigrationBuilder migrationBuilder) => migrationBuilder.Sql(Sql);

    public static void DropMessagingSchema(this MigrationBuilder migrationBuilder) => migrationBuilder.Sql("DROP SCHEMA messaging CASCADE;");
}
