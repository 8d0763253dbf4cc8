#!/usr/bin/env bash
# Installs what is in a folder into clean environments, as a user would, and uses it there:
#
#   scripts/try-dist.sh [--sdist] [--tests] FOLDER [PYTHON…]
#
# Wheels, ours from the folder alone and what they need from the index; with --sdist the source
# distributions, which are compiled. Each PYTHON (default: python3) runs scripts/smoke.py; with
# --tests also those tests of the pool and of the codec that are quick, with what their dependencies
# have wheels for.
set -euo pipefail
case ${1:-} in
    -h | --help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit ;;
esac
cd "$(dirname "$0")/.."

sdist="" tests=""
while [[ ${1:-} == --* ]]; do
    case $1 in
        --sdist) sdist=yes ;;
        --tests) tests=yes ;;
        *)
            echo "unknown option: $1" >&2
            exit 2
            ;;
    esac
    shift
done
folder=$(realpath "${1:?a folder with distributions}")
shift
(($# > 0)) || set -- python3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shopt -s nullglob

for interpreter; do
    venv=$work/$(basename "$interpreter").$RANDOM
    "$interpreter" -m venv "$venv"
    python=$venv/bin/python
    if [[ $sdist ]]; then
        # The bridge is demanded by version, so it comes from here as well.
        "$python" -m pip install --quiet --find-links "$folder" \
            "$folder"/snakepit_pool-*.tar.gz "$folder"/snakepit_bridge-*.tar.gz
    else
        "$python" -m pip install --quiet --no-index --no-deps --find-links "$folder" \
            snakepit-pool snakepit-bridge
        "$python" -m pip install --quiet --only-binary :all: snakepit-pool # what it needs
    fi
    build=$("$python" -c 'import sysconfig
print("free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "abi3")')
    "$python" -W error scripts/smoke.py "$build"
    "$venv/bin/snakepit" cleanup --help >/dev/null
    if [[ $tests ]]; then
        "$python" -m pip install --quiet --only-binary :all: pytest pytest-timeout hypothesis numpy
        # Its workers run other interpreters, which can load the abi3 build alone.
        others=(--ignore tests/pool/test_interpreter.py)
        [[ $build == free-threaded ]] || others=()
        "$python" -m pytest -q -p no:cacheprovider -m "not slow" "${others[@]}" \
            tests/pool tests/codec
    fi
done
