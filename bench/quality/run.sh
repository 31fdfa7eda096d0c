#!/usr/bin/env bash
# Quality of every weight format, and of budgets beside ratios, on the embedded model: the tables of docs/compression.md, as Markdown.
# Needs Python 3 without packages. The same on every machine but for the last digits: all is computed in f32.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
exec "${BENCH_PYTHON:-python3}" "$root/bench/quality/quality.py" --nibble "${NIBBLE:-$root/build/release/bin/nibble}" --root "$root" "$@"
