#!/usr/bin/env bash
# Checks the distributions in a folder, without installing them:
#
#   scripts/check-dist.sh FOLDER             what is there
#   scripts/check-dist.sh FOLDER --release   also that it is all that is released, and portable
#
# Needs the dependency group `dist` in $TOOLS_PYTHON (default: .venv/bin/python, else python3).
set -euo pipefail
case ${1:-} in
    -h | --help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit ;;
esac
cd "$(dirname "$0")/.."

folder=${1:?a folder with wheels and source distributions}
shift
python=${TOOLS_PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || command -v python3)}

"$python" scripts/check_dist.py "$folder" "$@"

shopt -s nullglob
# As an index would judge them: metadata, and the description that it shows.
"$python" -m twine --no-color check --strict "$folder"/*.whl "$folder"/*.tar.gz
for wheel in "$folder"/*-abi3-*.whl; do
    # Symbols that some Python ≥ 3.11 does not have would end in an ImportError there.
    "$python" -m abi3audit --strict "$wheel"
done
"$python" scripts/check_tags.py "$folder"/*-{many,musl}linux*.whl
