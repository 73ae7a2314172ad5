"""Take all `.pxd` away and everything works: the sources need nothing but Python."""

import asyncio
import shutil
import sys
from pathlib import Path

from tests.house.sources import PACKAGE

SMOKE = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import linnet
assert linnet.__file__.startswith(sys.argv[1]), linnet.__file__
assert not linnet.compiled

CONNECT = bytes.fromhex("100d 0004 4d515454 04 02 0000 0001 61")
SUBSCRIBE = bytes.fromhex("8208 0001 0003 612f62 01")
PUBLISH = bytes.fromhex("3209 0003 612f62 0007 6869")

async def main():
    async with linnet.Broker(listen="127.0.0.1:0") as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.write(CONNECT + SUBSCRIBE)
        assert await reader.readexactly(4) == bytes.fromhex("20020000")
        assert await reader.readexactly(5) == bytes.fromhex("9003 0001 01")
        writer.write(PUBLISH)
        answers = await reader.readexactly(4 + len(PUBLISH))
        assert bytes.fromhex("40020007") in answers and b"a/b" in answers and b"hi" in answers, answers
        writer.write(bytes.fromhex("e000"))
        assert await reader.read() == b""
        writer.close()

asyncio.run(asyncio.wait_for(main(), 20))
print("works")
"""


async def test_the_sources_alone_are_a_broker(tmp_path: Path) -> None:
    shutil.copytree(
        PACKAGE, tmp_path / "linnet", ignore=shutil.ignore_patterns("*.pxd", "*.so", "__pycache__")
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-W", "error", "-c", SMOKE, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert output.strip().endswith(b"works")
