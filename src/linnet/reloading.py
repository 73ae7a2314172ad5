"""What becomes of new settings in a broker that runs: two tables of settings, compared and joined."""

from collections.abc import Mapping
from typing import NamedTuple

from linnet.options import shown
from linnet.settings import OPTIONS, Settings


class Changes(NamedTuple):
    """What a reload did, and what it could not do: the old and the new value of each setting, by name."""

    changed: Mapping[str, tuple[object, object]]
    needs_restart: Mapping[str, tuple[object, object]]

    def changed_lines(self) -> list[str]:
        """A line for people for each change that was made."""
        return [
            f"{in_words(name, *values)}{', for new connections' if OPTIONS[name].takes_effect == 'new' else ''}"
            for name, values in self.changed.items()
        ]

    def restart_lines(self) -> list[str]:
        """A line for people for each change that was not."""
        return [f"{in_words(name, *values)} needs a restart" for name, values in self.needs_restart.items()]


def in_words(name: str, old: object, new: object) -> str:
    """A change as people read it."""
    return f"{name}: {shown(old)} -> {shown(new)}"


def compare(old: Settings, new: Settings, is_running: bool) -> Changes:
    """How two tables differ; a broker that does not run starts with whatever it is given."""
    differing = {
        name: (getattr(old, name), getattr(new, name)) for name in OPTIONS if getattr(old, name) != getattr(new, name)
    }
    late = {name for name in differing if is_running and OPTIONS[name].takes_effect == "restart"}
    return Changes(
        {name: values for name, values in differing.items() if name not in late},
        {name: values for name, values in differing.items() if name in late},
    )


def in_force(old: Settings, new: Settings, changes: Changes) -> Settings:
    """The new settings, but for those that need a restart. Raises SettingsError if they do not agree."""
    chosen = {name: old if name in changes.needs_restart else new for name in OPTIONS}
    sources = {name: one.settings_sources[name] for name, one in chosen.items()}
    return Settings(sources, **{name: getattr(one, name) for name, one in chosen.items()})
