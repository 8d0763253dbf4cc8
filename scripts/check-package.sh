#!/usr/bin/env bash
# Packages the crates as they would be published, unpacks them, and checks that they compile from that
# alone, with all features. `cargo package` by itself compiles all that they need once more, for the same
# answer.
#
#   scripts/check-package.sh
set -euo pipefail

case ${1-} in
    -h | --help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit ;;
    ?*) echo "unknown option: $1" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

crates=(snakepit-proto snakepit)
cargo package --quiet "${crates[@]/#/--package=}" --locked --allow-dirty --no-verify

unpacked=target/package/unpacked
rm -rf "$unpacked"
mkdir -p "$unpacked"
for crate in "${crates[@]}"; do
    version=$(cargo metadata --format-version 1 --no-deps --locked |
        python3 -c 'import json, sys
print(*(p["version"] for p in json.load(sys.stdin)["packages"] if p["name"] == sys.argv[1]))' "$crate")
    tar -xzf "target/package/$crate-$version.crate" -C "$unpacked"
    mv "$unpacked/$crate-$version" "$unpacked/$crate"
done

# The workspace's own versions of dependencies and settings, so that what is built is used.
cp Cargo.lock "$unpacked"
cat >"$unpacked/Cargo.toml" <<'TOML'
[workspace]
members = ["snakepit", "snakepit-proto"]
resolver = "3"

[patch.crates-io]
snakepit-proto = { path = "snakepit-proto" }

[profile.dev]
debug = "line-tables-only"
TOML
cargo check --package snakepit --all-features --manifest-path "$unpacked/Cargo.toml" --target-dir target
