#!/usr/bin/env bash
# Builds CPython 3.13 without the GIL from the source package of Debian 13 (trixie), about two minutes
# on two cores, and prints the path of the interpreter. What is there already is not built again.
#
#   scripts/free-threaded-python.sh [PREFIX]     default: ~/.cache/snakepit/python3.13t
#
# Needs apt-get, a C compiler and the headers of libssl, libffi and zlib, and no root: apt gets folders
# of its own and reads nothing but the sources of trixie, whose signature is checked.
set -euo pipefail

case ${1-} in
    -h | --help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit ;;
    -*) echo "unknown option: $1" >&2; exit 2 ;;
esac

prefix=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/snakepit/python3.13t}
python=$prefix/bin/python3.13t
works() {
    "$python" -c 'import ensurepip, ssl, sys, venv, zlib; sys.exit(sys._is_gil_enabled())'
}
if works 2>/dev/null; then
    echo "$python"
    exit 0
fi
for program in apt-get cc make xz; do
    command -v "$program" >/dev/null || { echo "missing: $program" >&2; exit 1; }
done
# Keys of Debian, on systems of its family too (package debian-archive-keyring).
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -r $keyring ]] || { echo "missing: $keyring (package debian-archive-keyring)" >&2; exit 1; }

mkdir -p "$(dirname "$prefix")"
work=$(mktemp -d "$prefix.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/{lists/partial,archives/partial,parts} "$work/source"
cat >"$work/apt/trixie.sources" <<SOURCES
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: $keyring
SOURCES
touch "$work/apt/status"
cat >"$work/apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/apt/trixie.sources";
Dir::Etc::sourceparts "$work/apt/parts";
Dir::Etc::preferencesparts "$work/apt/parts";
Dir::State::lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt";
Dir::Cache::archives "$work/apt/archives";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
export APT_CONFIG=$work/apt/apt.conf
apt-get update -qq >&2
(cd "$work/source" && apt-get source -qq --download-only python3.13 >&2)
# Upstream's own source is enough: Debian's changes are about where Debian puts things.
mkdir "$work/python"
tar -xf "$work"/source/python3.13_*.orig.tar.[gx]z -C "$work/python" --strip-components 1

cd "$work/python"
# Nobody debugs it, nor waits for it long; venv brings pip.
OPT="-DNDEBUG -O1" ./configure -q --prefix="$prefix" --disable-gil --with-ensurepip=no \
    --without-static-libpython --disable-test-modules >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
{ make -s -j"$(nproc)" && make -s install; } >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
works || { echo "that Python lacks a module: are libssl-dev, libffi-dev and zlib1g-dev there?" >&2; exit 1; }
echo "$python"
