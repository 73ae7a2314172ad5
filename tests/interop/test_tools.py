"""A peer that is not there is never passed over in silence."""

import pytest

from tests.interop.tools import library, program, start

pytestmark = pytest.mark.interop


def test_where_a_peer_may_be_missing_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-client is not installed: apt-get install nothing"):
        program("no-such-client", "nothing")
    with pytest.raises(pytest.skip.Exception, match="no-such-library is not installed: pip install"):
        library("no_such_library", "no-such-library")


def test_where_every_peer_has_to_be_there_its_absence_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-client is not installed"):
        program("no-such-client", "nothing")


async def test_a_program_that_fails_is_quoted() -> None:
    async with await start(program("bash", "bash"), "-c", "echo sorry; exit 3") as failing:
        with pytest.raises(AssertionError, match=r"ended with code 3; it said:\n  sorry"):
            await failing.ended()
