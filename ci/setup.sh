# Sourced by the scripts of this folder: packages, stages and their times.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
jobs=$(nproc)

# say prints a line that stands out from the tools' output.
say() {
  printf '\n== %s\n' "$*"
}

# need_packages LIST... installs what is missing of the lists in ci/packages, and says what.
need_packages() {
  local list package missing=()
  for list in "$@"; do
    for package in $(sed -n "s/^$list: //p" ci/packages); do
      if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
        missing+=("$package")
      fi
    done
  done
  if [ ${#missing[@]} -eq 0 ]; then
    return
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    if ! command -v sudo >/dev/null; then
      echo "these packages are missing, and there is neither root nor sudo to install them: ${missing[*]}" >&2
      exit 3
    fi
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# launcher is the compiler cache as a cmake argument, where there is one. It is not needed.
launcher() {
  if command -v ccache >/dev/null; then
    echo "-DCMAKE_C_COMPILER_LAUNCHER=ccache"
    echo "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
  fi
}

# build PRESET [-DNAME=VALUE...] [TARGET...] configures the preset and builds the targets (all of it without one).
build() {
  local preset=$1
  shift
  local cache=()
  mapfile -t cache < <(launcher)
  while [[ ${1:-} == -D* ]]; do
    cache+=("$1")
    shift
  done
  cmake --preset "$preset" "${cache[@]}"
  cmake --build "build/$preset" --parallel "$jobs" ${1:+--target "$@"}
}
