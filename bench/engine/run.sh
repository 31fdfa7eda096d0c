#!/usr/bin/env bash
# Nibble beside OpenVINO GenAI and llama.cpp on a 1.1-billion-parameter model. Options go to measure.py (--help says which).
# BENCH_PYTHON=... takes a Python that has bench/engine/requirements.txt already instead of making build/bench/venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv=build/bench/venv
wanted=bench/engine/requirements.txt

make_venv() {
  cmp -s "$wanted" "$venv/made-from.txt" && return
  echo "making $venv with OpenVINO GenAI and llama.cpp, which is compiled (once, some minutes)"
  rm -rf "$venv"
  python3 -m venv "$venv"
  CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$venv/made-from.txt"
}

if [ -z "${BENCH_PYTHON:-}" ]; then
  make_venv
  BENCH_PYTHON=$venv/bin/python
fi
exec "$BENCH_PYTHON" -B bench/engine/measure.py "$@"
