using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Sagas.Persistence.Migrations;

[DbContext(typeof(PlatformDbContext))]
[Migration("20261125000000_Traces")]
public sealed class Traces : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("ALTER TABLE sagas.work_jobs ADD COLUMN trace text");
}
