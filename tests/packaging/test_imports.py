"""Each module can be the first one that a program imports, compiled ones too, whose declarations import as well."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, pkgutil, sys, traceback

import linnet

names = [module.name for module in pkgutil.walk_packages(linnet.__path__, "linnet.") if "__main__" not in module.name]
for name in names:
    child = os.fork()
    if not child:
        try:
            __import__(name)
        except BaseException:
            print(name, traceback.format_exc())
            sys.stdout.flush()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{name} cannot be imported first")
print(len(names))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_each_module_can_be_imported_first() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert int(ended.stdout) > 100
