"""The bars linnet sets itself, and the one table that shows whether they are met."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from compare import Results

PEER, FLOOR, OURS, OURS_V5, PURE, UVLOOP, RIVAL = (
    "mosquitto",
    "relay",
    "linnet",
    "linnet-v5",
    "linnet-pure",
    "linnet-uvloop",
    "flashmq",
)


@dataclass(frozen=True, slots=True)
class Bar:
    """CPU time per message, at most, as a part of Mosquitto's; `aim` is what we would like."""

    bar: float
    aim: float
    interpreted: float | None = None


BARS = {
    "pairs50-q0": Bar(1 / 25, 1 / 40, 1 / 4),
    "fanout200": Bar(1 / 20, 1 / 28, 1 / 4),
    "fanin50": Bar(1 / 30, 1 / 50, 1 / 4),
    "wild50": Bar(1 / 30, 1 / 50, 1 / 4),
    "lockstep50": Bar(1 / 8, 1 / 12, 1 / 4),
    "pairs50-q1": Bar(1 / 13, 1 / 18),
    "pairs50-q2": Bar(1 / 14, 1 / 20),
    "big64k": Bar(1.0, 2 / 3),
    "rate5000": Bar(1.2, 1.0),
}
V5_BAR = 1.2  # CPU time with MQTT 5.0 clients, at most, of our own with 3.1.1 clients
LATENCY = "rate5000"  # where p50 and p99 may be no worse than Mosquitto's
UNITS = {"startup": "ms", "idle": "KiB/connection"}  # scenarios that are not about messages


def fraction(value: float | None) -> str:
    """A ratio as people say it: 1/25.0, or 1.20 when it is no small part."""
    if value is None:
        return "-"
    return f"1/{1 / value:.1f}" if 0 < value < 0.5 else f"{value:.2f}"


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


@dataclass(slots=True)
class Table:
    """All rows of the run, and the sentences that say which bars were missed."""

    results: Results
    rows: list[dict[str, str]] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def build(self) -> "Table":
        for scenario in self.results.samples:
            self.rows.append(self._row(scenario))
        return self

    def _row(self, scenario: str) -> dict[str, str]:
        figure = "value" if scenario in UNITS else "cpu_us"
        cost = {b: self.results.median(scenario, b, figure) for b in self.results.samples[scenario]}
        unit = f" ({UNITS[scenario]})" if scenario in UNITS else ""
        row = {
            "scenario": scenario + unit,
            "Mosquitto": number(cost.get(PEER)),
            "linnet": number(cost.get(OURS)),
        }
        row |= self._against_the_bar(scenario, cost)
        row |= {"relay": number(cost.get(FLOOR)), "5.0 / 3.1.1": self._with_v5(scenario, cost)}
        row |= {"interpreted": self._interpreted(scenario, cost)}
        row |= {"uvloop": number(cost.get(UVLOOP)), "FlashMQ": number(cost.get(RIVAL))}
        row |= self._latency(scenario) | self._lost_and_memory(scenario)
        self._errors(scenario)
        return row

    def _against_the_bar(self, scenario: str, cost: dict[str, float | None]) -> dict[str, str]:
        ratio, bar = part(cost.get(OURS), cost.get(PEER)), BARS.get(scenario)
        if bar is None:
            return {"ratio": fraction(ratio), "bar": "-", "aim": "-", "met": "-"}
        met = "-" if ratio is None else "aim" if ratio <= bar.aim else "bar" if ratio <= bar.bar else "NO"
        if met == "NO":
            self.misses.append(f"{scenario}: {fraction(ratio)} of Mosquitto's CPU time, bar {fraction(bar.bar)}")
        return {"ratio": fraction(ratio), "bar": fraction(bar.bar), "aim": fraction(bar.aim), "met": met}

    def _with_v5(self, scenario: str, cost: dict[str, float | None]) -> str:
        ratio = part(cost.get(OURS_V5), cost.get(OURS))
        if scenario in UNITS or ratio is None:
            return "-"
        if ratio > V5_BAR:
            self.misses.append(f"{scenario}: MQTT 5.0 costs {ratio:.2f} of 3.1.1, bar {V5_BAR}")
        return f"{ratio:.2f}{'!' if ratio > V5_BAR else ''}"

    def _interpreted(self, scenario: str, cost: dict[str, float | None]) -> str:
        if scenario in UNITS:
            return number(cost.get(PURE))
        ratio, bar = part(cost.get(PURE), cost.get(PEER)), BARS.get(scenario)
        limit = bar.interpreted if bar else None
        missed = ratio is not None and limit is not None and ratio > limit
        if missed:
            self.misses.append(f"{scenario}: interpreted {fraction(ratio)} of Mosquitto's, bar {fraction(limit)}")
        return fraction(ratio) + ("!" if missed else "")

    def _latency(self, scenario: str) -> dict[str, str]:
        cells: dict[str, str] = {}
        times = {b: [self.results.median(scenario, b, f) for f in ("p50_us", "p99_us")] for b in (OURS, PEER)}
        for broker, heading in ((OURS, "p50/p99 us"), (PEER, "Mosquitto's")):
            known = [t for t in times[broker] if t is not None]
            cells[heading] = "/".join(f"{t:.0f}" for t in known) if known and scenario == LATENCY else "-"
        if scenario == LATENCY:
            for name, ours, theirs in zip(("p50", "p99"), times[OURS], times[PEER], strict=True):
                if ours is not None and theirs is not None and ours > theirs:
                    cells["p50/p99 us"] += "!"
                    self.misses.append(f"{scenario}: {name} {ours:.0f} us, Mosquitto's {theirs:.0f}")
        return cells

    def _lost_and_memory(self, scenario: str) -> dict[str, str]:
        if scenario in UNITS:
            return {"lost": "-", "RSS MB": "-"}
        for broker in (OURS, OURS_V5, PURE, UVLOOP):
            if lost := self.results.lost(scenario, broker):
                self.misses.append(f"{scenario}: {broker} lost {lost} messages")
        lost, rss = self.results.lost(scenario, OURS), self.results.median(scenario, OURS, "rss_kib")
        return {
            "lost": "-" if lost is None else str(lost),
            "RSS MB": "-" if rss is None else f"{rss / 1024:.0f}",
        }

    def _errors(self, scenario: str) -> None:
        for broker in self.results.samples[scenario]:
            if error := self.results.error(scenario, broker):
                self.misses.append(f"{scenario}: {broker} failed: {error}")

    def columns(self) -> list[str]:
        """The headings, without those of brokers that took no part."""
        return [name for name in self.rows[0] if any(row[name] != "-" for row in self.rows)] if self.rows else []

    def text(self) -> str:
        return self._laid_out("  ", "", "-")

    def markdown(self) -> str:
        return self._laid_out(" | ", "|", ":")

    def _laid_out(self, between: str, edge: str, right: str) -> str:
        """Columns of equal width: names to the left, figures to the right (Markdown says so by a colon)."""
        columns = self.columns()
        widths = [max(len(name), *(len(row[name]) for row in self.rows)) for name in columns]

        def line(cells: Sequence[str]) -> str:
            first, *others = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
            return f"{edge} {between.join([first.strip().ljust(widths[0]), *others])} {edge}".strip()

        rules = ["-" * widths[0], *("-" * (width - 1) + right for width in widths[1:])]
        return "\n".join([line(columns), line(rules), *(line([row[n] for n in columns]) for row in self.rows)])


def part(ours: float | None, theirs: float | None) -> float | None:
    """What part of theirs is ours?"""
    return ours / theirs if ours is not None and theirs else None
