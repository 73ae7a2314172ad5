"""The options of one broker: `Settings` is the whole table of them.

`Settings(max_qos=1)` builds one from values; `load` builds one from a TOML file, the environment and the command line,
where the later ones win. Whatever is unknown or out of bounds is refused with a `SettingsError` that lists every fault,
what is allowed and where the value stood.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, PrivateAttr, ValidationError

from linnet.errors import SettingsError
from linnet.options import Option, faults_in, host_and_port, options_of
from linnet.sources import in_arguments, in_environment, in_file
from linnet.table import Limits, Log, Network, Protocol, Retained, Session

__all__ = ["GROUPS", "OPTIONS", "Settings", "host_and_port", "load"]

CONFIG_VARIABLE: Final = "LINNET_CONFIG"
OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "LINNET_PASSWORD", "LINNET_PURE"})  # ours, but not settings


class Settings(Network, Protocol, Session, Retained, Limits, Log):
    """All options of one broker, checked and immutable."""

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    def __init__(self, sources: Mapping[str, str] | None = None, /, **values: Any) -> None:
        """`sources` tells where each value stood, for messages and for `settings_sources`."""
        sources = sources or {}
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError("\n".join(faults_in(error, OPTIONS, sources))) from None
        self._sources.update((name, sources.get(name, "code")) for name in values)
        soft, hard = self.max_output_bytes, self.max_output_bytes_hard
        if soft > hard:
            places = [sources[name] for name in ("max_output_bytes", "max_output_bytes_hard") if name in sources]
            where = f" ({'; '.join(places)})" if places else ""
            raise SettingsError(
                f"max_output_bytes = {soft}: allowed is at most max_output_bytes_hard, which is {hard}{where}"
            )

    @property
    def settings_sources(self) -> Mapping[str, str]:
        """Where each value came from: "default", "code", a file and line, a variable or an option."""
        return {name: self._sources.get(name, "default") for name in OPTIONS}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.__dict__ == other.__dict__  # wherever they came from

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """What differs from the defaults, which is what a reader wants to know."""
        return ((name, getattr(self, name)) for name, row in OPTIONS.items() if getattr(self, name) != row.default)


# Known once Settings is made, used when one is.
OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {name: row for group in Settings.__bases__ for name, row in options_of(group).items()}
)
GROUPS: Final = MappingProxyType({one.__name__.lower(): one.__doc__ or "" for one in Settings.__bases__})


def load(file: Path | None, environ: Mapping[str, str], arguments: Mapping[str, str]) -> Settings:
    """The settings in force: a file (given, or named by LINNET_CONFIG) < the environment < the command line.

    Every source is checked for itself, so a bad value is reported even where a later source overrides it.
    """
    if file is None and environ.get(CONFIG_VARIABLE):
        file = Path(environ[CONFIG_VARIABLE])
    faults: list[str] = []
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for given, where in (
        in_file(file, OPTIONS, GROUPS, faults),
        in_environment(environ, OPTIONS, OTHER_VARIABLES, faults),
        in_arguments(arguments, OPTIONS),
    ):
        try:
            BaseModel.__init__(Settings.__new__(Settings), **given)  # the fields alone, not how they agree
        except ValidationError as error:
            faults += faults_in(error, OPTIONS, where)
        values |= given
        sources |= where
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings(sources, **values)
