"""`linnet probe`: tell what a broker is and can do, and what failed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, replace
from time import perf_counter

from linnet.cli import exit_codes
from linnet.cli.asked import Asked, UsageError
from linnet.cli.client_options import BASE, TIMEOUT
from linnet.cli.connecting import connected
from linnet.cli.grammar import Verb, Words, flag
from linnet.cli.probing import FAILED, NO, OK, Finding, NotOffered, Prober, announced, software, tried
from linnet.cli.running import run
from linnet.cli.teller import Teller
from linnet.cli.url_words import host_and_port, is_url, take_address
from linnet.errors import LinnetError
from linnet.wire.version import V3_1, V3_1_1, V5

SUMMARY = "Connect to a broker, try what it can do, and tell what failed."
SESSION = 60  # seconds that the session lasts which is tried


def _host(asked: Asked, words: Words) -> None:
    if is_url(words.option):
        take_address(asked, words)
        return
    try:
        asked.host, port = host_and_port(words.option)
    except LinnetError as error:
        raise UsageError(f"{words.option}: {error}") from None
    asked.port = asked.port if port is None else port


VERB = Verb(
    "probe",
    SUMMARY,
    "[options] {HOST | HOST:PORT | URL}",
    (TIMEOUT, flag("--json", to="json", help="print one object of JSON"), *BASE),
    _host,
    "It publishes to itself below linnet/probe/, and leaves nothing behind. The exit code is 0 if all is well, and 1"
    " if something failed;\nwhat the broker says that it does not offer is no failure.",
)


def main(words: Sequence[str]) -> int:
    """Run the verb."""
    return run(VERB, check, work, words)


def check(asked: Asked) -> None:
    """A topic in the URL means nothing here."""
    if asked.filters:
        raise UsageError(f"a broker is probed, not a topic: {asked.filters[0]!r} is too much")


async def work(asked: Asked, teller: Teller) -> int:
    """Each version, and all else with the newest that works."""
    import linnet.client.client
    import linnet.client.dialling  # noqa: F401 - so that the first connection is not charged for it

    versions: list[Finding] = []
    report: dict[str, object] = {}
    steps: list[Finding] = []
    fault: Exception | None = None
    for version in (V5, V3_1_1, V3_1) if asked.version is None else (asked.version,):
        began = perf_counter()
        try:
            async with connected(replace(asked, version=version), teller) as client:
                took = (perf_counter() - began) * 1000
                versions.append(Finding(f"MQTT {version.name}", OK, took))
                if not report:
                    report = {"address": str(client.keeper.address), "version": version.name}
                    report |= {"software": await software(client), "announced": announced(client)}
                    prober = Prober(client)
                    await prober.all()
                    steps = prober.findings
        except LinnetError as error:
            if error.__cause__ is not None:  # nobody is there, whatever the version
                raise
            fault = fault or error
            versions.append(Finding(f"MQTT {version.name}", NO, None, str(error)))
        asked.password_in_words = False  # that was said once
    if not report:
        raise fault or LinnetError("no version of MQTT works")
    steps.append(await tried("sessions that last", lambda: session(asked, teller)))
    findings = [*versions, *steps]
    if asked.json:
        print(json.dumps({**report, "findings": [asdict(finding) for finding in findings]}), flush=True)
    else:
        print("\n".join(lines(report, versions, steps)), flush=True)
    return exit_codes.FAILED if any(finding.outcome == FAILED for finding in findings) else exit_codes.FINE


async def session(asked: Asked, teller: Teller) -> None:
    """A session that is there again after the connection was closed; it is removed in the end."""
    mine = replace(asked, client_id=f"linnet-probe-{secrets.token_hex(8)}", session_expiry=SESSION)
    async with connected(mine, teller) as client:
        if client.limits.version.has_properties and not client.limits.session_expiry:
            raise NotOffered("the broker keeps none")
        async with client.subscribe(f"linnet/probe/{secrets.token_hex(8)}", qos=1, keep=True):
            pass
    async with connected(replace(mine, clean_start=False, session_expiry=0), teller) as client:
        connack = client.keeper.connack
        if connack is not None and not connack.session_present:
            raise LinnetError("the session was gone")


def lines(report: dict[str, object], versions: list[Finding], steps: list[Finding]) -> list[str]:
    """The report for people."""
    name = report["software"]
    head = f"{report['address']}: MQTT {report['version']}" + (f", {name}" if name else "")
    said = report["announced"]
    assert isinstance(said, dict)
    told = ["", "what it says of itself", *(f"  {key:<26}  {value}" for key, value in said.items())] if said else []
    return [head, "", "versions", *map(line, versions), *told, "", "what was tried", *map(line, steps)]


def line(finding: Finding) -> str:
    """One finding."""
    took = f"{finding.milliseconds:8.2f} ms" if finding.milliseconds is not None else ""
    return f"  {finding.outcome:<6}  {finding.name:<26}  {took}{finding.detail}"
