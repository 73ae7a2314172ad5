"""The table says rightly which bars are met."""

import importlib
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Judges one scenario: broker names to the fields of their samples, a list for several rounds."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    compare, table = importlib.import_module("compare"), importlib.import_module("table")

    def judged(scenario: str, **brokers: Any) -> Any:
        results = compare.Results()
        for name, rounds in brokers.items():
            for fields in rounds if isinstance(rounds, list) else [rounds]:
                results.add(scenario, name.replace("_", "-"), compare.Sample(**fields))
        return table.Table(results).build()

    return judged


@pytest.mark.parametrize(("cost", "met"), [(0.25, "aim"), (0.4, "bar"), (0.41, "NO")])
def test_a_cost_is_held_against_its_bar_and_aim(judge: Any, cost: float, met: str) -> None:
    table = judge("pairs50-q0", mosquitto={"cpu_us": 10.0}, linnet={"cpu_us": cost})
    assert table.rows[0]["met"] == met
    assert bool(table.misses) == (met == "NO")


def test_the_median_of_the_rounds_counts(judge: Any) -> None:
    rounds = [{"cpu_us": cost} for cost in (0.9, 0.2, 0.25)]
    table = judge("pairs50-q0", mosquitto={"cpu_us": 10.0}, linnet=rounds)
    assert table.rows[0]["ratio"] == "1/40.0"


def test_version_5_is_held_against_our_own_3_1_1(judge: Any) -> None:
    costs = {"mosquitto": {"cpu_us": 10.0}, "linnet": {"cpu_us": 0.2}}
    assert judge("fanin50", **costs, linnet_v5={"cpu_us": 0.24}).misses == []
    table = judge("fanin50", **costs, linnet_v5={"cpu_us": 0.25})
    assert table.rows[0]["5.0 / 3.1.1"] == "1.25!"
    assert table.misses == ["fanin50: MQTT 5.0 costs 1.25 of 3.1.1, bar 1.2"]


def test_the_interpreted_form_is_held_against_mosquitto_at_qos_0(judge: Any) -> None:
    costs = {"mosquitto": {"cpu_us": 10.0}, "linnet_pure": {"cpu_us": 2.6}}
    assert judge("lockstep50", **costs).misses == ["lockstep50: interpreted 1/3.8 of Mosquitto's, bar 1/4.0"]
    assert judge("pairs50-q1", **costs).misses == []


@pytest.mark.parametrize(("p50", "p99", "missed"), [(300, 900, []), (301, 900, ["p50"]), (301, 901, ["p50", "p99"])])
def test_latency_may_be_no_worse_than_mosquittos(judge: Any, p50: int, p99: int, missed: list[str]) -> None:
    ours = {"cpu_us": 10.0, "p50_us": p50, "p99_us": p99}
    table = judge("rate5000", mosquitto={"cpu_us": 10.0, "p50_us": 300, "p99_us": 900}, linnet=ours)
    assert [sentence.split()[1] for sentence in table.misses] == missed
    assert table.rows[0]["Mosquitto's"] == "300/900"


def test_a_lost_message_or_a_failed_round_is_a_miss(judge: Any) -> None:
    table = judge("fanin50", linnet=[{"lost": 0}, {"lost": 2}, {"error": "no end after 60 s"}])
    assert table.misses == ["fanin50: linnet lost 2 messages", "fanin50: linnet failed: no end after 60 s"]


def test_columns_of_absent_brokers_are_left_out(judge: Any) -> None:
    table = judge("fanin50", mosquitto={"cpu_us": 10.0}, linnet={"cpu_us": 0.2})
    assert "FlashMQ" not in table.columns()
    assert table.markdown().splitlines()[1].startswith("| --------")
    assert len({len(line) for line in table.markdown().splitlines()}) == 1
