#!/bin/sh
# Builds and starts the whole platform on this machine, scores the sample job, and serves until Ctrl-C.
#   eng/run.sh [--data FOLDER] [--port PORT] [--once]
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/eng/prepare.sh"

check_machine
install_parts prod
build src/Standalone/Standalone.csproj src samples
exec dotnet "$root/src/Standalone/bin/Release/net10.0/Standalone.dll" --sample "$@"
