using Messaging.Postgres;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Sagas.Persistence.Migrations;

[DbContext(typeof(PlatformDbContext))]
[Migration("20261121000000_Initial")]
public sealed class Initial : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateMessagingSchema();
        migrationBuilder.Sql(
            """
            CREATE SCHEMA IF NOT EXISTS sagas;

            CREATE TABLE sagas.work_jobs (
                id uuid PRIMARY KEY,
                tenant text NOT NULL,
                kind text NOT NULL,
                state text NOT NULL,
                epoch integer NOT NULL,
                priority integer NOT NULL,
                total_units integer NOT NULL,
                committed_units integer NOT NULL,
                input_rows bigint NOT NULL,
                scored bigint NOT NULL,
                quarantined bigint NOT NULL,
                skipped bigint NOT NULL,
                rescored bigint NOT NULL,
                stale_results integer NOT NULL,
                max_error_rate double precision NOT NULL,
                max_errors bigint,
                spec jsonb NOT NULL,
                planned_files integer NOT NULL,
                inputs jsonb NOT NULL,
                failure jsonb,
                accepted_at timestamptz NOT NULL,
                admitted_at timestamptz,
                planned_at timestamptz,
                ended_at timestamptz,
                CONSTRAINT work_jobs_rows CHECK (scored + quarantined + skipped <= input_rows),
                CONSTRAINT work_jobs_units CHECK (committed_units <= total_units)
            ) WITH (fillfactor = 70);
            -- The dispatcher and admission look at jobs that are not over: few, however long the history.
            CREATE INDEX work_jobs_open ON sagas.work_jobs (state, priority DESC, accepted_at)
                WHERE state IN ('Accepted', 'Queued', 'Admitted', 'Running', 'Committed');
            CREATE INDEX work_jobs_list ON sagas.work_jobs (tenant, kind, accepted_at DESC, id DESC);

            CREATE TABLE sagas.work_units (
                job_id uuid NOT NULL REFERENCES sagas.work_jobs (id) ON DELETE CASCADE,
                unit integer NOT NULL,
                state smallint NOT NULL,
                attempt integer NOT NULL,
                failures integer NOT NULL,
                crashes integer NOT NULL,
                rows bigint NOT NULL,
                rows_done bigint NOT NULL,
                spec jsonb NOT NULL,
                result jsonb,
                scored bigint NOT NULL,
                quarantined bigint NOT NULL,
                dispatch_id uuid,
                lease_until timestamptz,
                execution uuid,
                worker text,
                last_failure jsonb,
                started_at timestamptz,
                committed_at timestamptz,
                elapsed_ms integer NOT NULL,
                PRIMARY KEY (job_id, unit)
            ) WITH (fillfactor = 70);
            CREATE INDEX work_units_pending ON sagas.work_units (job_id, unit) WHERE state = 0;
            CREATE INDEX work_units_in_flight ON sagas.work_units (lease_until) INCLUDE (job_id) WHERE state IN (1, 2);

            CREATE TABLE sagas.work_workers (
                worker text PRIMARY KEY,
                slots integer NOT NULL,
                models text[] NOT NULL,
                seen_at timestamptz NOT NULL
            );

            CREATE TABLE sagas.batch_jobs (
                correlation_id uuid PRIMARY KEY,
                current_state text NOT NULL,
                tenant text NOT NULL,
                deadline_seconds integer NOT NULL,
                plan_step integer NOT NULL,
                asks integer NOT NULL,
                cancel_reason text,
                failure jsonb,
                scored bigint NOT NULL,
                quarantined bigint NOT NULL,
                manifest_uri text,
                manifest_sha256 text,
                ended_at timestamptz,
                step_timeout_token uuid,
                queue_timeout_token uuid,
                deadline_token uuid
            ) WITH (fillfactor = 70);
            CREATE INDEX batch_jobs_open ON sagas.batch_jobs (current_state)
                WHERE current_state NOT IN ('Completed', 'CompletedWithErrors', 'Failed', 'Cancelled');

            CREATE TABLE sagas.models (
                tenant text NOT NULL,
                name text NOT NULL,
                version text NOT NULL,
                uri text NOT NULL,
                bytes bigint NOT NULL,
                description text,
                signature jsonb NOT NULL,
                rows_per_second double precision NOT NULL,
                registered_at timestamptz NOT NULL,
                PRIMARY KEY (tenant, name, version)
            );
            CREATE INDEX models_latest ON sagas.models (tenant, name, registered_at DESC);

            CREATE TABLE sagas.idempotent_requests (
                tenant text NOT NULL,
                route text NOT NULL,
                key text NOT NULL,
                body_sha256 text NOT NULL,
                status_code integer NOT NULL,
                response jsonb NOT NULL,
                location text,
                created_at timestamptz NOT NULL,
                PRIMARY KEY (tenant, route, key)
            );
            CREATE INDEX idempotent_requests_age ON sagas.idempotent_requests (created_at);
            """);
    }
}
