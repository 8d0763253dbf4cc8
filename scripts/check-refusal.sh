#!/usr/bin/env bash
# A system that is not supported is refused in one line that says so, before anything is compiled:
#
#   scripts/check-refusal.sh aarch64-apple-darwin
#
# Runs anywhere where rustup has, or can get, that target.
set -euo pipefail
case ${1:-} in
    -h | --help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit ;;
esac
cd "$(dirname "$0")/.."

target=${1:?a target that is not Linux}
if ! rustc --print target-libdir --target "$target" | xargs test -d; then
    rustup target add "$target"
fi
if said=$(cargo check --locked --package snakepit --target "$target" 2>&1); then
    echo "it compiles for $target: then wheels.yml and the README owe a wheel" >&2
    exit 1
fi
if ! grep --quiet 'error: .*Snakepit runs on Linux only' <<<"$said"; then
    printf 'no clear refusal for %s, but:\n%s\n' "$target" "$said" >&2
    exit 1
fi
if grep --quiet '^error\[E' <<<"$said"; then
    printf 'the refusal drowns in other errors:\n%s\n' "$said" >&2
    exit 1
fi
echo "$target: refused in one line"
