"""Run by the Python of bowser's own environment, in a run's folder: load its layers as bowser does.

cd OUT && ENV/bin/python clients/check_bowser.py
"""

import json
import sys
from pathlib import Path

from bowser.titiler import RasterGroup

faults = []
for entry in json.loads(Path("bowser_rasters.json").read_text()):
    group = RasterGroup.model_validate(entry)
    dates = [Path(name).stem[-8:] for name in entry["file_list"]]
    shown = [str(value).replace("-", "") for value in group.x_values]
    print(entry["name"], shown, group.latlon_bounds)
    if shown != dates:
        faults.append(f"{entry['name']}: bowser shows {shown}, the files are of {dates}")
print("\n".join(faults) or "no fault")
sys.exit(1 if faults else 0)
