#!/usr/bin/env bash
# Writes the lists of standard resource classes and traits anew from their PyPI packages:
#   data/refresh.sh [OS_RESOURCE_CLASSES_VERSION [OS_TRAITS_VERSION]]
set -euo pipefail
cd "$(dirname "$0")"
classes="${1:-1.1.0}" traits="${2:-3.9.0}"
venv="$(mktemp -d)"
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" -q install "os-resource-classes==$classes" "os-traits==$traits"
"$venv/bin/python" - "$classes" "$traits" <<'PYTHON'
import sys

import os_resource_classes
import os_traits

classes, traits = sys.argv[1:]
with open('resource_classes.txt', 'w') as out:
    print(f'# The standard resource classes of os-resource-classes {classes}, in the order of '
          'their ids, from 0.', file=out)
    print('# Refreshed by `make refresh-standard-data`; a class never changes its place.', file=out)
    print(*os_resource_classes.STANDARDS, sep='\n', file=out)
with open('traits.txt', 'w') as out:
    print(f'# The standard traits of os-traits {traits}.', file=out)
    print('# Refreshed by `make refresh-standard-data`.', file=out)
    print(*sorted(os_traits.get_traits()), sep='\n', file=out)
PYTHON
