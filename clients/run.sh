#!/bin/sh
# Open the products of runs with the software they are for. Each client lives in an environment of its own
# below CLIENTS (made if missing); QGIS is Debian's (apt-get install --no-install-recommends qgis python3-qgis).
#   sh clients/run.sh OUT ...
set -eu
here=$(cd "$(dirname "$0")" && pwd)
clients=${CLIENTS:-$here/environments}
python=${PYTHON:-python3.11}
failed=0

client() { # name, packages: prints the environment's Python
    if [ ! -e "$clients/$1/installed" ]; then
        "$python" -m venv "$clients/$1"
        name=$1; shift
        "$clients/$name/bin/pip" install --quiet "$@" >&2
        touch "$clients/$name/installed"
        echo "$clients/$name/bin"
    else
        echo "$clients/$1/bin"
    fi
}

mintpy=$(client mintpy 'mintpy>=1.6,<1.7')
# The second bound is what pip ends at by itself, after minutes of trying.
bowser=$(client bowser 'bowser-insar>=0.5,<0.6' 'titiler-xarray<2.1')
for folder in "$@"; do
    out=$(cd "$folder" && pwd)
    echo "== $folder"
    "$mintpy/python" "$here/check_mintpy.py" "$out/mintpy" || failed=1
    (cd "$out" && "$bowser/python" "$here/check_bowser.py") || failed=1
    if /usr/bin/python3 -c 'import qgis.core' 2>/dev/null; then
        QT_QPA_PLATFORM=offscreen /usr/bin/python3 "$here/check_qgis.py" "$out" || failed=1
    else
        echo "left out: QGIS (apt-get install --no-install-recommends qgis python3-qgis)"
        [ -z "${CI:-}" ] || failed=1
    fi
done
exit $failed
