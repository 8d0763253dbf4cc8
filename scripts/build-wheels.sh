#!/usr/bin/env bash
# Builds what a release is made of. What continuous integration does, on a developer's machine too:
#
#   scripts/build-wheels.sh manylinux-x86_64                  the abi3 wheel, for every Python ≥ 3.11
#   scripts/build-wheels.sh manylinux-x86_64 python3.14t      a wheel for that interpreter alone
#   scripts/build-wheels.sh sdist                             the source distributions
#   scripts/build-wheels.sh bridge                            the pure-Python wheel of the SDK
#
# Also manylinux-aarch64, musllinux-x86_64 and musllinux-aarch64. Zig links, so one machine builds
# for all of them, against the oldest C library that the tag promises. The results go to
# target/release-dist, or $OUT.
#
# Needs the dependency group `release` in $TOOLS_PYTHON (default: .venv/bin/python, else python3).
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:?a kind: manylinux-ARCH, musllinux-ARCH, sdist or bridge}
shift
out=${OUT:-target/release-dist}
python=${TOOLS_PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || command -v python3)}
mkdir -p "$out"
# maturin asks the first python3 on PATH for Zig.
PATH="$(cd "$(dirname "$python")" && pwd):$PATH"

# Neither the home nor the checkout of whoever builds belongs into what is released.
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/snakepit"
# The Makefile's choice for the development build; here maturin chooses.
unset PYO3_PYTHON

wheel() { # TARGET TAG [INTERPRETER…]
    local target=$1 tag=$2 interpreters=()
    shift 2
    (($# == 0)) || interpreters=(--interpreter "$@")
    if ! rustc --print target-libdir --target "$target" | xargs test -d; then
        rustup target add "$target"
    fi
    "$python" -m maturin build --release --locked --zig --target "$target" --compatibility "$tag" \
        --out "$out" "${interpreters[@]}"
}

case $kind in
    manylinux-*) wheel "${kind#*-}-unknown-linux-gnu" manylinux_2_17 "$@" ;;
    musllinux-*) wheel "${kind#*-}-unknown-linux-musl" musllinux_1_2 "$@" ;;
    sdist)
        "$python" -m maturin sdist --out "$out"
        "$python" -m build --sdist --outdir "$out" python
        ;;
    bridge) "$python" -m build --wheel --outdir "$out" python ;;
    *)
        echo "unknown kind: $kind" >&2
        exit 2
        ;;
esac
