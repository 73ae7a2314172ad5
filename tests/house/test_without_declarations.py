"""Take all `.pxd` away and everything works: the sources need nothing but Python."""

import asyncio
import shutil
import sys
from pathlib import Path

from tests.house.sources import PACKAGE, ROOT


async def test_the_sources_alone_are_a_broker(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "linnet", ignore=shutil.ignore_patterns("*.pxd", "*.so", "__pycache__"))
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-I",
            "-W",
            "error",
            str(ROOT / "tests" / "smoke.py"),
            "interpreted",
            str(tmp_path),
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b" works, interpreted" in output
