#!/usr/bin/env bash
# Nibble beside OpenVINO GenAI and llama.cpp on a 1.1-billion-parameter model. Options go to measure.py (--help says which).
# BENCH_PYTHON=... takes a Python that has bench/engine/requirements.txt already instead of making build/bench/venv.
# NIBBLE_CPU_ISA=avx2 compiles llama.cpp for AVX2 too, beside the other, and leaves out OpenVINO, which cannot be held to that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
wanted=bench/engine/requirements.txt
if [ "${NIBBLE_CPU_ISA:-}" = avx2 ]; then
  venv=build/bench/venv-avx2
  instructions="-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_AVX512=OFF"
  set -- --engines nibble,llama.cpp "$@"
else
  venv=build/bench/venv
  instructions="-DGGML_NATIVE=ON"
fi

make_venv() {
  cmp -s "$wanted" "$venv/made-from.txt" && return
  echo "making $venv with OpenVINO GenAI and llama.cpp, which is compiled (once, some minutes)"
  rm -rf "$venv"
  python3 -m venv "$venv"
  # Without pip's cache, which may have llama.cpp with other instructions.
  CMAKE_ARGS="$instructions -DLLAVA_BUILD=OFF" "$venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$venv/made-from.txt"
}

if [ -z "${BENCH_PYTHON:-}" ]; then
  make_venv
  BENCH_PYTHON=$venv/bin/python
fi
exec "$BENCH_PYTHON" -B bench/engine/measure.py "$@"
