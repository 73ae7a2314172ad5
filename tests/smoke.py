"""The shortest proof that linnet works: a client connects, subscribes, publishes and is answered.

    python -I tests/smoke.py compiled|interpreted [DIRECTORY]    # where linnet must come from

It needs nothing but linnet, so it also runs where no test tools are.
"""

import asyncio
import sys

CONNECT = bytes.fromhex("100d 0004 4d515454 04 02 0000 0001 61")
SUBSCRIBE = bytes.fromhex("8208 0001 0003 612f62 01")
PUBLISH = bytes.fromhex("3209 0003 612f62 0007 6869")
DISCONNECT = bytes.fromhex("e000")


async def main(form: str, directory: str) -> None:
    """One connection, from CONNECT to DISCONNECT."""
    if directory:
        sys.path.insert(0, directory)
    import linnet

    assert str(linnet.__file__).startswith(directory), linnet.__file__
    assert linnet.compiled is (form == "compiled"), f"{linnet.__file__} is not {form}"
    async with linnet.Broker(listen="127.0.0.1:0") as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.write(CONNECT + SUBSCRIBE)
        assert await reader.readexactly(4) == bytes.fromhex("20020000")
        assert await reader.readexactly(5) == bytes.fromhex("9003 0001 01")
        writer.write(PUBLISH)
        answers = await reader.readexactly(4 + len(PUBLISH))
        assert bytes.fromhex("40020007") in answers and b"a/b" in answers and b"hi" in answers, answers
        writer.write(DISCONNECT)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    print(f"linnet {linnet.__version__} works, {form}")


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(sys.argv[1], "".join(sys.argv[2:])), 20))
