"""Prints what pyproject.toml wants installed, one requirement a line.

requirements.py pyproject.toml        to build and run linnet
requirements.py pyproject.toml dev    ... and what that extra adds
"""

import sys
import tomllib
from pathlib import Path

path, *extras = sys.argv[1:]
table = tomllib.loads(Path(path).read_text())
project = table["project"]
wanted = table["build-system"]["requires"] + project["dependencies"]
for extra in extras:
    wanted += project["optional-dependencies"][extra]
print(*wanted, sep="\n")
