#!/bin/sh
# Do other people's tools accept portal.json, and do the clients that they make of it compile? See `make clients`.
# The first time it installs the tools of package-lock.json; nothing of that is committed.
set -eu
# Not in uv.lock: it asks for an older typer than the product has.
python_client_version=0.29.1
cd "$(dirname "$0")"
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true

if ! command -v npm > /dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    echo "make clients: skipped, because there is no Node.js 20 or newer"
    exit 0
fi
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    if ! npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; then
        echo "make clients: skipped, because npm cannot install the tools here"
        exit 0
    fi
    touch node_modules/.package-lock.json
fi
rm -rf generated
tools=node_modules/.bin
venv=../.venv/bin

"$tools/redocly" lint --config redocly.yaml --max-problems 1000 portal.json
"$tools/spectral" lint --ruleset spectral.yaml --fail-severity hint portal.json

"$tools/openapi-typescript" portal.json --output generated/openapi-typescript/portal.ts
"$tools/openapi-ts" --input portal.json --output generated/hey-api --silent
"$tools/tsc" --project .

"$venv/uv" tool run --quiet --from "openapi-python-client==$python_client_version" openapi-python-client \
    generate \
    --path portal.json --output-path generated/python --meta none --config python-client.yaml --fail-on-warning
"$venv/python" -m compileall -q generated/python
"$venv/mypy" --config-file= --explicit-package-bases --no-error-summary generated/python usage/python_client.py
echo "make clients: linters and generators are content"
