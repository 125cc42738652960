#!/usr/bin/env bash
# Format and lint of the Python files; exit status 77 (skipped) where ruff is not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! command -v ruff >/dev/null; then
  echo 'SKIPPED: ruff is not here (it is in requirements-dev.txt)'
  exit 77
fi
ruff check .
ruff format --check .
