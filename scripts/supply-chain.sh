#!/usr/bin/env bash
# What we depend on: licences, known vulnerabilities, and a list of it all.
#
#   scripts/supply-chain.sh crates            cargo deny: licences, advisories, sources, bans
#   scripts/supply-chain.sh packages          pip-audit: what both distributions and the chores take
#   scripts/supply-chain.sh bills FOLDER OUT  the bills of materials of the distributions in FOLDER
#
# `crates` asks GitHub for advisories, `packages` asks PyPI. Without GitHub, ask for the rest:
# DENY_CHECKS="licenses bans sources" scripts/supply-chain.sh crates
#
# Needs cargo-deny 0.20 for `crates`, and the dependency group `audit` in $TOOLS_PYTHON (default:
# .venv/bin/python, else python3) for the others.
set -euo pipefail
case ${1:-} in
    -h | --help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit ;;
esac
cd "$(dirname "$0")/.."

python=${TOOLS_PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || command -v python3)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

crates() {
    if ! cargo deny --version >/dev/null 2>&1; then
        echo "missing: cargo install cargo-deny --locked --version 0.20.2" >&2
        exit 1
    fi
    # shellcheck disable=SC2086 # several words
    cargo deny --log-level error --all-features check ${DENY_CHECKS:-}
}

# What a fresh installation would take today: every group of pyproject.toml, the bridge's extra.
packages() {
    local groups
    groups=$("$python" -c 'import pathlib, tomllib
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())
print(*("--group=" + name for name in project["dependency-groups"]))')
    # shellcheck disable=SC2086 # several words
    "$python" -m pip install --quiet --dry-run --ignore-installed --only-binary :all: \
        --report "$work/report.json" $groups "./python[grpc]"
    "$python" - "$work/report.json" >"$work/pinned.txt" <<'PYTHON'
import json
import sys
from pathlib import Path

ours = {"snakepit-bridge", "snakepit-pool"}  # on no index before they are released
for item in json.loads(Path(sys.argv[1]).read_text())["install"]:
    if item["metadata"]["name"] not in ours:
        print(f"{item['metadata']['name']}=={item['metadata']['version']}")
PYTHON
    echo "$(wc -l <"$work/pinned.txt") packages"
    "$python" -m pip_audit --strict --no-deps --disable-pip --requirement "$work/pinned.txt"
}

# One bill a wheel for the crates (maturin puts it there, PEP 770), one for the Python side.
bills() {
    local folder=$1 out=$2 wheel name
    mkdir -p "$out"
    for wheel in "$folder"/snakepit_pool-*.whl; do
        name=$(basename "$wheel" .whl)
        unzip -p "$wheel" '*.dist-info/sboms/snakepit-py.cyclonedx.json' >"$out/$name.crates.cdx.json"
    done
    "$python" -m venv --without-pip "$work/venv"
    local pip=("$python" -m pip --python "$work/venv/bin/python" install --quiet)
    "${pip[@]}" --no-index --no-deps --find-links "$folder" snakepit-pool snakepit-bridge
    "${pip[@]}" --only-binary :all: snakepit-pool # what they need
    "$python" -m cyclonedx_py environment --output-reproducible \
        --validate --of JSON -o "$out/snakepit-pool.packages.cdx.json" "$work/venv/bin/python"
    "$python" - "$out" <<'PYTHON'
import json
import sys
from pathlib import Path

for bill in sorted(Path(sys.argv[1]).glob("*.cdx.json")):
    content = json.loads(bill.read_text())
    parts = content["components"]
    print(f"{bill.name}: CycloneDX {content['specVersion']}, {len(parts)} components")
PYTHON
}

case ${1:-} in
    crates) crates ;;
    packages) packages ;;
    bills) bills "${2:?a folder with wheels}" "${3:?a folder to write to}" ;;
    *)
        echo "crates, packages or bills" >&2
        exit 2
        ;;
esac
