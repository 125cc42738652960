#!/usr/bin/env bash
# clang-tidy over every source of the dev build, ruff over every Python file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ruff check .
ruff format --check .
readonly WANTED=22.1.8 # other versions look for other things
if [[ $(clang-tidy --version 2>/dev/null) != *$WANTED* ]]; then
  echo "lint: clang-tidy $WANTED is not here (it is in requirements-dev.txt)" >&2
  exit 1
fi
cmake --preset dev >/dev/null
git ls-files -z '*.cpp' | grep -zv '^fuzz/' |
  xargs -0 -n 4 -P "$(nproc)" clang-tidy -p build/dev --quiet --warnings-as-errors='*' \
    --extra-arg=-Wno-unknown-warning-option
