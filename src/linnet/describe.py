"""The inspector: any live object as plain data, read from its slots.

There is one, for people at a prompt, for the command line, for an API and for tests. Nothing is prepared for it: an
object that has slots can be looked at, while it lives and works. A class may name in `described` what it has besides:
properties that say something; and in `hidden` what is nobody's business: passwords.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

MOST = 100  # members of a collection that are shown; the count is always told


def describe(thing: object, depth: int = 2) -> Any:
    """A plain value for `thing`: numbers and text as they are, collections as lists and dictionaries, any other object
    as a dictionary of its slots with its class under "class". Objects deeper than `depth` are shown by their `repr`.
    """
    if thing is None or (isinstance(thing, bool | int | float | str) and not isinstance(thing, Enum)):
        return thing
    if isinstance(thing, Enum):
        return thing.name
    if isinstance(thing, bytes | bytearray):
        return bytes(thing[:1024]).decode(errors="backslashreplace")
    if isinstance(thing, type) or (callable(thing) and not slots_of(thing)):
        return repr(thing)
    if isinstance(thing, Mapping):
        return describe_mapping(thing, depth)
    fields = getattr(thing, "_fields", None)
    if isinstance(thing, tuple) and fields:
        return {name: describe(getattr(thing, name), depth) for name in fields}
    if isinstance(thing, Iterable) and hasattr(thing, "__len__") and not slots_of(thing):
        return describe_members(thing, depth)
    if depth <= 0:
        return repr(thing)
    return describe_object(thing, depth)


def describe_object(thing: object, depth: int) -> dict[str, Any]:
    """An object's class and slots, each once, and what its class says is worth seeing."""
    described: dict[str, Any] = {"class": type(thing).__name__, "repr": repr(thing)}
    names = slots_of(thing) or [name for name in getattr(thing, "__dict__", ()) if not name.startswith("_")]
    hidden = getattr(type(thing), "hidden", ())
    for name in (*names, *getattr(type(thing), "described", ())):
        value = getattr(thing, name, None)
        described[name] = "***" if name in hidden and value is not None else describe(value, depth - 1)
    return described


def describe_mapping(mapping: Mapping[Any, Any], depth: int) -> dict[str, Any] | list[Any]:
    """A dictionary with text for keys. One that stands for a set (objects for keys, no values) is a list of them."""
    if mapping and all(value is None and not isinstance(key, str) for key, value in mapping.items()):
        return describe_members(mapping, depth)
    described: dict[str, Any] = {}
    for index, (key, value) in enumerate(mapping.items()):
        if index == MOST:
            described["..."] = f"{len(mapping) - MOST} more"
            break
        name = key if isinstance(key, str) else describe(key, 0)
        described[str(name)] = describe(value, depth - 1)
    return described


def describe_members(members: Any, depth: int) -> list[Any]:
    """The first members of a collection, and how many more there are."""
    described = []
    for index, member in enumerate(members):
        if index == MOST:
            described.append(f"... {len(members) - MOST} more")
            break
        described.append(describe(member, depth - 1))
    return described


def slots_of(thing: object) -> list[str]:
    """The names of an object's slots, those of its base classes first."""
    names: list[str] = []
    for base in reversed(type(thing).__mro__):
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("_") and name not in names:
                names.append(name)
    if not names and is_dataclass(thing) and not isinstance(thing, type):
        names = [field.name for field in fields(thing)]
    return names
