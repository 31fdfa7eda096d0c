#!/bin/sh
# with_venv.sh PYTHON SCRIPT ARGUMENT...: runs a check, or ends with 77 (skipped, for ctest) when its Python has not been made.
if [ ! -x "$1" ]; then
  echo "skipped: there is no $1; ./dev test makes it and runs everything, and -DNIBBLE_INTEROP_PYTHON=... takes another one"
  exit 77
fi
exec "$@"
