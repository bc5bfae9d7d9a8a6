"""What is public in the adapter, in the only environment in which it can be imported."""

from __future__ import annotations

from tests import test_exports

NAME = "codin.agent.adapters.crewai"


def test_all_says_what_is_there() -> None:
    assert NAME in test_exports.MODULES
    test_exports.test_all_says_what_is_there(NAME)
    test_exports.test_every_name_resolves_to_what_the_static_import_names(NAME)
