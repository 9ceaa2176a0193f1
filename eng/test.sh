#!/bin/sh
# Runs the tests. The last line is the sum.
#   eng/test.sh               all but the soak tests, and the code's format
#   eng/test.sh --fast        those that need no server
#   eng/test.sh --soak [NAME] the long kill and load runs, or those whose name contains NAME
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/eng/prepare.sh"

mode=full name=
case ${1:-} in
  '') ;;
  --fast) mode=fast ;;
  --soak) mode=soak name=${2:-} ;;
  *) refuse "Usage: eng/test.sh [--fast | --soak [NAME]]" ;;
esac
case $mode in
  full) filter='Category!=Soak' logger='console;verbosity=minimal' ;;
  fast) filter='Category!=Soak&Category!=Server' logger='console;verbosity=minimal' ;;
  soak) filter="Category=Soak${name:+&FullyQualifiedName~$name}" logger='console;verbosity=detailed' ;;
esac

check_machine
install_parts all
[ "$mode" = fast ] || install_rabbitmq
when_changed solution "Sagas.sln src tests samples" dotnet build "$root/Sagas.sln" -c Release -v quiet --nologo -nodeReuse:false

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 skipped=0 broken=0

count() { sed -n "s/.*<Counters [^>]*$1=\"\([0-9]*\)\".*/\1/p" "$results/$project.trx" 2>/dev/null | head -n 1; }

# run PROJECT: its log and results, and its exit code in a file.
run() {
  code=0
  dotnet test "$root/tests/$1/bin/Release/net10.0/$1.Tests.dll" --filter "$filter" --logger "$logger" --logger "trx;LogFileName=$1.trx" \
    --results-directory "$results" --blame-hang-timeout 20m --blame-hang-dump-type none >"$results/$1.log" 2>&1 </dev/null || code=$?
  echo "$code" >"$results/$1.code"
}

projects=
for assembly in "$root"/tests/*/bin/Release/net10.0/*.Tests.dll; do
  project=$(basename "$assembly" .Tests.dll)
  # A test project's output also has the assemblies of others it refers to.
  [ -e "$root/tests/$project/$project.Tests.csproj" ] && [ "$assembly" = "$root/tests/$project/bin/Release/net10.0/$project.Tests.dll" ] || continue
  projects="$projects $project"
done

# The format is looked at with what the tests leave of the processors.
if [ "$mode" = full ]; then
  (
    code=0
    nice -n 19 dotnet format "$root/Sagas.sln" --no-restore --verify-no-changes >"$results/format.txt" 2>&1 </dev/null || code=$?
    echo "$code" >"$results/format.code"
  ) &
  format=$!
fi

report() {
  code=$(cat "$results/$project.code") total=$(count total) ok=$(count passed) bad=$(count failed)
  [ "${total:-0}" -gt 0 ] || [ "$code" -ne 0 ] || return 0
  passed=$((passed + ${ok:-0})) failed=$((failed + ${bad:-0})) skipped=$((skipped + ${total:-0} - ${ok:-0} - ${bad:-0}))
  if [ "$code" -ne 0 ]; then
    cat "$results/$project.log"
    # A test host that died has run fewer tests than it has, and failed none of them.
    [ "${bad:-0}" -gt 0 ] || broken=$((broken + 1))
  elif [ "$mode" = soak ]; then
    cat "$results/$project.log"
  fi
  printf '%-24s %4d passed %4d failed\n' "$project" "${ok:-0}" "${bad:-0}"
}

# Processes that start and state machines to which nothing comes: these wait most of their time, and do it beside the others.
# What a soak run measures has the machine to itself.
waiting='' beside=''
[ "$mode" = soak ] || waiting='EndToEnd Sagas'
for project in $waiting; do
  run "$project" &
  beside="$beside $!"
done
for project in $projects; do
  case " $waiting " in *" $project "*) continue ;; esac
  run "$project"
  report
done
for process in $beside; do wait "$process"; done
for project in $waiting; do report; done

# Nothing that opens anything may be in a log, and this is a log of everything. The name of the file is told, and not what was found.
secrets=$(grep -lE -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' -e 'sgs_[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{43}' -e 'eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}' -r "$results" || true)
for file in $secrets; do
  echo "There is a secret in the log $(basename "$file")"
  broken=$((broken + 1))
done

if [ "$mode" = full ]; then
  wait "$format"
  if [ "$(cat "$results/format.code")" -eq 0 ]; then
    echo "The format is right"
  else
    tail -n 40 "$results/format.txt"
    echo "The format is wrong: run dotnet format"
    broken=$((broken + 1))
  fi
fi
[ "$((passed + failed + broken))" -gt 0 ] || { say "No test ran."; broken=1; }

failed=$((failed + broken))
sum="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || sum="$sum, $skipped skipped"
echo "$sum"
[ "$failed" -eq 0 ]
