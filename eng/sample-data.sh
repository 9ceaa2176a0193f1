#!/bin/sh
# Writes generated card transactions (id and 30 float features) as Parquet, for fraud-detection-model.
# The same arguments give the same rows.
#   eng/sample-data.sh ROWS [FILES] [FOLDER] [SEED]     FILES: 4, FOLDER: .data/inputs/transactions-ROWS
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/eng/prepare.sh"

number() { case $1 in '' | *[!0-9]* | 0*) return 1 ;; esac }
usage="Usage: eng/sample-data.sh ROWS [FILES] [FOLDER] [SEED]"
{ [ $# -ge 1 ] && [ $# -le 4 ] && number "$1" && number "${2:-4}" && number "${4:-8}"; } || refuse "$usage"
row_count=$1 file_count=${2:-4} target=${3:-$root/.data/inputs/transactions-$1} seed=${4:-8}

check_machine
install_parts prod
build samples/train/Train.csproj src samples
dotnet "$root/samples/train/bin/Release/net10.0/Train.dll" generate "$row_count" "$file_count" "$target" "$seed"

target=$(CDPATH='' cd -- "$target" && pwd)
cat <<EOF
Score them on a running platform (the folder must lie in one of its allowed roots, as .data/inputs does):

  curl -sS http://127.0.0.1:8080/api/v1/batch-inference/jobs -H 'Content-Type: application/json' -d '{
    "model": "fraud-detection-model",
    "input": { "uri": "file://$target", "format": "parquet" },
    "keyColumns": ["id"]
  }'
EOF
