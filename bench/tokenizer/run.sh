#!/usr/bin/env bash
# Tokenizers: Nibble beside Hugging Face tokenizers. Options go to measure.py.
# BENCH_PYTHON=... takes a Python that has bench/tokenizer/requirements.txt already instead of making build/bench/tokenizer-venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv=build/bench/tokenizer-venv

make_venv() {
  cmp -s bench/tokenizer/requirements.txt "$venv/made-from.txt" && return
  echo "making $venv with tokenizers (once)"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r bench/tokenizer/requirements.txt
  cp bench/tokenizer/requirements.txt "$venv/made-from.txt"
}

if [ -z "${BENCH_PYTHON:-}" ]; then
  make_venv
  BENCH_PYTHON=$venv/bin/python
fi
exec "$BENCH_PYTHON" -B bench/tokenizer/measure.py "$@"
