#!/usr/bin/env bash
# Export and 4-bit compression of a 1.1-billion-parameter model: nibble beside optimum-cli. Options go to measure.py.
# With --scale as the first option: models of 30 GB, nibble alone (scale.py, which needs Python with numpy only).
# With --methods as the first option: compression of an IR with data, nibble compress beside NNCF (methods.py).
# BENCH_PYTHON=... takes a Python that has bench/requirements.txt already instead of making build/bench-venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv=build/bench-venv

make_venv() {
  cmp -s bench/requirements.txt "$venv/made-from.txt" && return
  echo "making $venv with optimum-intel, NNCF and torch (once)"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
  cp bench/requirements.txt "$venv/made-from.txt"
}

if [ "${1:-}" = --scale ]; then
  shift
  exec "${BENCH_PYTHON:-python3}" -B bench/export/scale.py "$@"
fi
if [ -z "${BENCH_PYTHON:-}" ]; then
  make_venv
  BENCH_PYTHON=$venv/bin/python
fi
if [ "${1:-}" = --methods ]; then
  shift
  exec "$BENCH_PYTHON" -B bench/export/methods.py "$@"
fi
exec "$BENCH_PYTHON" -B bench/export/measure.py "$@"
