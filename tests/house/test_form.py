"""The form under test is the one that was asked for, in every module that has two."""

import os
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

import linnet
from tests.house.sources import declarations, dotted

# (Not LINNET_FORM: such a name is a setting, and `linnet serve` refuses the ones it does not know.)
ASKED = os.environ.get("TESTED_FORM", "")


@pytest.mark.skipif(not ASKED, reason="TESTED_FORM asks for no form")
def test_the_form_is_the_one_asked_for() -> None:
    assert ASKED in ("compiled", "interpreted")
    assert linnet.compiled is (ASKED == "compiled"), f"{ASKED} was asked for, {linnet.__file__} was found"


@pytest.mark.parametrize("name", [dotted(path) for path in declarations()])
def test_every_module_has_the_same_form(name: str) -> None:
    file = import_module(name).__file__
    assert file is not None
    assert file.endswith(tuple(EXTENSION_SUFFIXES)) is linnet.compiled, f"{name} comes from {file}"
