#!/usr/bin/env bash
# Writes generated card transactions (id and 30 float features) as Parquet, for fraud-detection-model.
# The same arguments give the same rows.
set -euo pipefail

usage="usage: eng/sample-data.sh ROWS [FILES=4] [FOLDER=.data/samples/transactions-ROWS] [SEED]"
if [[ $# -lt 1 || $# -gt 4 || ! $1 =~ ^[1-9][0-9]*$ || ! ${2:-4} =~ ^[1-9][0-9]*$ ]]; then
  echo "$usage" >&2
  exit 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
rows=$1 files=${2:-4} folder=${3:-$root/.data/samples/transactions-$1}

if [[ ! -d $root/node_modules/@duckdb ]]; then
  (cd "$root" && npm ci --omit=dev --ignore-scripts --no-progress --loglevel=error)
fi
dotnet build "$root/samples/train" -c Release -v quiet -nologo
"$root/samples/train/bin/Release/net10.0/Train" generate "$rows" "$files" "$folder" ${4:+"$4"}

folder=$(cd "$folder" && pwd)
cat <<EOF
Submit them to a running platform (the folder must lie in one of its allowed roots):

  curl -sS http://127.0.0.1:8080/api/v1/batch-inference/jobs -H 'Content-Type: application/json' -d '{
    "model": "fraud-detection-model",
    "input": { "uri": "file://$folder", "format": "parquet" },
    "keyColumns": ["id"]
  }'
EOF
