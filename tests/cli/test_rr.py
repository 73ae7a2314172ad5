"""`linnet rr`: a question, and the first answer to it."""

from collections.abc import Callable

import pytest

from linnet.testing import BlockingBroker
from linnet.wire.properties import Properties
from tests.cli.conftest import Cli


def answering(served: BlockingBroker, payload: str) -> Callable[[], None]:
    """Somebody who answers the first question, where it says."""

    def answer() -> None:
        question = served.wait_for("PUBLISH", direction="in")
        assert question.packet is not None
        where = question.packet.properties.response_topic or "answers"  # type: ignore[union-attr]
        served.publish(where, payload, properties=Properties(content_type="c"))

    return answer


@pytest.mark.parametrize("words", [["-e", "answers"], ["-e", "answers", "-V", "311"], [], ["-e", "answers", "-q", "2"]])
def test_the_answer_is_printed(cli: Cli, served: BlockingBroker, words: list[str]) -> None:
    answer = answering(served, "42")
    result = cli("rr", "-p", served.port, "-t", "question", "-m", "6*7", *words, meanwhile=answer)
    assert (result.code, result.out, result.err) == (0, b"42\n", "")
    asked = served.packets.select("PUBLISH", direction="in")[0]
    assert (asked.topic, asked.payload) == ("question", b"6*7")


def test_the_answer_is_printed_as_it_is_wanted(cli: Cli, served: BlockingBroker) -> None:
    words = ["-n", "-F", "%t %p %C", "-e", "answers"]
    result = cli("rr", f"{served.url}/question", *words, meanwhile=answering(served, "42"))
    assert result.out == b"answers 42 c\n"


def test_no_answer_in_time_is_exit_code_27(cli: Cli, served: BlockingBroker) -> None:
    result = cli("rr", "-p", served.port, "-t", "q", "-m", "x", "-W", 0.1)
    assert (result.code, result.err) == (27, "linnet rr: timed out after 0.1 s\n")


def test_a_refused_question_is_an_error_with_its_reason(cli: Cli, served: BlockingBroker) -> None:
    served.deny("q")
    result = cli("rr", "-p", served.port, "-t", "q", "-m", "x", "-q", 1)
    assert result.code == 135
    assert "not authorized" in result.err


@pytest.mark.parametrize("words", ["-t q -e a", "-m x -e a", "-t q/# -m x -e a", "-t q -m x -e a/#", "-t q -l -e a"])
def test_what_makes_no_sense_is_refused(cli: Cli, words: str) -> None:
    result = cli("rr", *words.split())
    assert result.code == 1
    assert result.err.startswith("linnet rr: ") and result.err.count("\n") == 1
