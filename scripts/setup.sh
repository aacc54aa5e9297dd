# shellcheck shell=bash
# Sourced by the other scripts: makes this checkout able to run. Quick when there is nothing to do.
#
#   roost_setup device   the packages of a device, and Mosquitto
#   roost_setup centre   the above, a NATS server, and the packages of the centre
#   roost_setup dev      the above, a browser, and the tools for tests and checks
#   roost_setup bench    the packages of a device, and the peers that a benchmark compares with (several hundred MB)
#   roost_setup fleet    the packages of a device, and what sets up many of them (docs/fleet.md)
#   roost_setup_image    what builds, starts and inspects images and guests; beside one of the above (Debian, as root)
#
# What it needs from the distribution it installs with apt (as root, or through sudo); what it needs from Python it
# installs into .venv, pinned by hash. It talks on stderr only.
#
#   ROOST_PYTHON   the Python to use (default: python3, then python3.11 … python3.13)
#   ROOST_VENV     where the virtual environment lies (default: .venv in the checkout)

ROOST_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
ROOST_VENV="${ROOST_VENV:-$ROOST_ROOT/.venv}"
export PATH="$PATH:/usr/sbin" # Debian keeps mosquitto there, and a user's PATH often does not name it

say() { printf '%s\n' "roost: $*" >&2; }
die() { say "$*"; exit 2; }

_apt_updated=""
_apt_install() { # packages…
  command -v apt-get >/dev/null || die "needs $*, and there is no apt-get here. Install them by hand, then run this again."
  local sudo=""
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "needs $*. Run as root: apt-get install $*"
    sudo="sudo"
  fi
  say "installing $* from the distribution …"
  if [ -z "$_apt_updated" ]; then
    $sudo apt-get update -qq >&2 || say "apt-get update failed; trying with the lists that are here."
    _apt_updated=yes
  fi
  local log
  log="$(mktemp)"
  # Without roost_setup's lock: a service that the package starts would keep it.
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1 9<&- || {
    cat "$log" >&2
    die "apt-get could not install $*. See its message above."
  }
  rm -f "$log"
}

_find_python() {
  local candidate
  for candidate in "${ROOST_PYTHON:-python3}" python3.11 python3.13 python3.12; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
    [ -n "${ROOST_PYTHON:-}" ] && die "ROOST_PYTHON=$ROOST_PYTHON is not a Python from 3.11 to 3.13."
  done
  return 1
}

_has_browser() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }

_has_faketime() { # with which tests step the clock of a device
  compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || compgen -G '/usr/lib*/faketime/libfaketimeMT.so.1' >/dev/null
}

roost_setup_browser() { # for what shows a page in a real browser by itself
  _has_browser || _apt_install chromium
}

_needs() { # PROGRAM PACKAGE: adds to the caller's `missing`
  command -v "$1" >/dev/null || missing+=("$2")
}

roost_setup_image() { # what builds, starts and inspects images and guests
  local missing=()
  _needs mmdebstrap mmdebstrap
  _needs qemu-aarch64-static qemu-user-static
  _needs update-binfmts binfmt-support
  _needs qemu-system-aarch64 qemu-system-arm
  _needs mcopy mtools
  _needs mkfs.vfat dosfstools
  _needs mke2fs e2fsprogs
  _needs sfdisk fdisk
  _needs bmaptool bmap-tools
  _needs zstd zstd
  _needs newuidmap uidmap
  _needs systemd-nspawn systemd-container
  _needs ssh openssh-client
  _needs ip iproute2
  [ ${#missing[@]} -eq 0 ] || _apt_install "${missing[@]}"
}

roost_setup() { # device|centre|dev|bench|fleet
  { # Of two at once in this checkout the second waits, and then mostly finds everything done.
    if command -v flock >/dev/null; then flock 9; fi
    _set_up "$1"
  } 9<"$ROOST_ROOT"
}

_set_up() { # as roost_setup, by one at a time
  local level="$1" python release lock stamp wanted
  cd "$ROOST_ROOT" || exit 2

  local missing=()
  command -v mosquitto >/dev/null || missing+=(mosquitto)
  command -v mosquitto_sub >/dev/null || missing+=(mosquitto-clients)
  case "$level" in centre | dev) command -v nats-server >/dev/null || missing+=(nats-server) ;; esac
  [ "$level" != dev ] || _has_browser || missing+=(chromium)
  [ "$level" != dev ] || _has_faketime || missing+=(libfaketime)
  _find_python >/dev/null || missing+=(python3)
  [ ${#missing[@]} -eq 0 ] || _apt_install "${missing[@]}"
  python="$(_find_python)" || die "needs Python 3.11, 3.12 or 3.13; this system has none. Set ROOST_PYTHON."

  # Pi OS and Debian: Bookworm has Python 3.11, Trixie 3.13; their packages differ (docs/decisions/0003).
  if "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then release=bookworm; else release=trixie; fi
  lock="provisioning/requirements/$release"
  wanted="$("$python" -V) $(cat "$lock.txt" "$lock-centre.txt" "$lock-dev.txt" "$lock-bench.txt" "$lock-fleet.txt" provisioning/requirements/build.txt pyproject.toml | sha256sum)"
  stamp="$ROOST_VENV/.roost-$level"
  # A finished dev environment serves a device and the centre as well.
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] || [ "$(cat "$ROOST_VENV/.roost-dev" 2>/dev/null)" = "$wanted" ]; then
    return 0
  fi

  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    _apt_install "python$("$python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')-venv"
  fi
  # An environment made by another Python cannot be mended, only made again.
  if [ -e "$ROOST_VENV" ] && [ "$("$ROOST_VENV/bin/python" -V 2>/dev/null)" != "$("$python" -V)" ]; then
    say "$ROOST_VENV was made by another Python; making it again."
    rm -rf "$ROOST_VENV"
  fi
  [ -x "$ROOST_VENV/bin/pip" ] || "$python" -m venv "$ROOST_VENV" || die "could not make $ROOST_VENV."

  local requirements=("$lock.txt")
  [ "$level" = device ] || requirements=("$lock-$level.txt")
  say "installing Python packages for $release ($level), pinned by hash; a minute or two the first time …"
  local pip=("$ROOST_VENV/bin/pip" --disable-pip-version-check --quiet install)
  "${pip[@]}" --require-hashes --only-binary=:all: -r "${requirements[0]}" >&2 ||
    die "pip could not install ${requirements[0]}. Is the network there? 32-bit systems are not supported."
  "${pip[@]}" --require-hashes --only-binary=:all: -r provisioning/requirements/build.txt >&2 ||
    die "pip could not install the build tools."
  "${pip[@]}" --no-deps --no-build-isolation -e . >&2 || die "pip could not install Roost itself from this checkout."
  printf '%s' "$wanted" >"$stamp"
  say "ready."
}
