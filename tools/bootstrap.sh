#!/usr/bin/env bash
# Installs what the build needs and this machine lacks: Debian or Ubuntu packages by apt, and one virtual
# environment with pinned Python packages ($HELIX_VENV, or .venv in the checkout). Quick when nothing is missing.
#
#   tools/bootstrap.sh demo    compiler, libraries, the demo's Python packages
#   tools/bootstrap.sh test    all of that, and PyTorch, transformers and the test tools
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PURPOSE=${1:-test}
readonly VENV=${HELIX_VENV:-$PWD/.venv}
readonly PACKAGES=(
  g++ make git ninja-build ccache pkg-config python3 python3-dev python3-venv
  nlohmann-json3-dev libcli11-dev libxxhash-dev libssl-dev
  libutf8proc-dev libpcre2-dev libsentencepiece-dev libgtest-dev libgmock-dev
)

say() { printf 'bootstrap: %s\n' "$*"; }

have_package() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# True where `cmake` is there and at least 3.25.
have_cmake() {
  command -v cmake >/dev/null &&
    [[ $(printf '%s\n' 3.25 "$(cmake --version | awk 'NR == 1 {print $3}')" | sort -V | head -1) == 3.25 ]]
}

missing_packages() {
  local package
  for package in "${PACKAGES[@]}"; do have_package "$package" || printf '%s ' "$package"; done
  have_cmake || printf 'cmake'
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here: the build needs what these Debian packages hold: ${PACKAGES[*]} cmake (3.25 or newer)"
    return
  fi
  local missing
  read -ra missing <<<"$(missing_packages)"
  if ((${#missing[@]} == 0)); then return; fi
  if [[ $(id -u) != 0 ]] && ! command -v sudo >/dev/null; then
    say "these packages are missing, and there is neither root nor sudo to install them. Please run as root:"
    say "  apt-get install ${missing[*]}"
    exit 1
  fi
  say "installing ${missing[*]}"
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Packages first, then a stamp that names them: a run that was stopped half way starts again.
install_python() {
  local requirements=requirements-$1.txt
  local stamp=$VENV/.helix-$1
  local wanted
  wanted=$(cat requirements-demo.txt "$requirements" | sha256sum)
  if [[ -f $stamp && $(<"$stamp") == "$wanted" && -x $VENV/bin/python ]]; then return; fi
  [[ -x $VENV/bin/python ]] || python3 -m venv "$VENV"
  say "installing $requirements into $VENV"
  local pip=("$VENV/bin/python" -m pip --disable-pip-version-check install --quiet)
  if [[ $1 == dev ]]; then "${pip[@]}" "$(grep '^torch==' "$requirements")"; fi
  "${pip[@]}" -r "$requirements"
  printf '%s\n' "$wanted" >"$stamp"
}

# Distributions with an older CMake get one from the virtual environment.
install_cmake() {
  PATH=$VENV/bin:$PATH
  if ! have_cmake; then "$VENV/bin/python" -m pip install --quiet 'cmake==3.31.*'; fi
}

case $PURPOSE in
  demo) install_packages && install_python demo && install_cmake ;;
  test) install_packages && install_python dev && install_cmake ;;
  *) say "expected demo or test, found $PURPOSE" && exit 1 ;;
esac
