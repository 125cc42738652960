#!/usr/bin/env bash
# Writes the style (.clang-format, ruff.toml); with --check only says what would change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mapfile -t sources < <(find include src apps tests fuzz benchmarks examples python -name '*.h' -o -name '*.cpp' | sort)
readonly WANTED=14.0.6 # other versions break lines in other places
if [[ $(clang-format --version 2>/dev/null) != *$WANTED* ]]; then
  echo "SKIPPED: clang-format $WANTED is not here (it is in requirements-dev.txt)"
  exit 77
fi
if [[ ${1:-} == --check ]]; then
  clang-format --dry-run --Werror "${sources[@]}"
else
  clang-format -i "${sources[@]}"
  ruff format .
  ruff check --fix .
fi
