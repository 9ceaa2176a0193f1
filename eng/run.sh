#!/bin/sh
# Builds and starts the whole platform on this machine, scores the sample job, and serves until Ctrl-C.
#   eng/run.sh [--data FOLDER] [--port PORT] [--once]
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/eng/prepare.sh"

# Compiled ahead of time, it starts twice as fast; a registry without that compiler is no reason not to start.
publish() {
  for ahead in true false; do
    dotnet publish "$root/src/Standalone/Standalone.csproj" -c Release -r linux-x64 --no-self-contained -p:PublishReadyToRun=$ahead \
      -o "$root/artifacts/standalone" -v quiet --nologo -nodeReuse:false && return 0
  done
  return 1
}

check_machine
install_parts prod
when_changed standalone src publish
# Started in the background by a script, a process inherits that Ctrl-C's signal is ignored.
heed=''
env --default-signal=INT true 2>/dev/null && heed='env --default-signal=INT'
# shellcheck disable=SC2086 # words
exec $heed dotnet "$root/artifacts/standalone/Standalone.dll" --sample "$@"
