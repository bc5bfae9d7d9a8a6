"""How long to look. `make fuzz` looks longer."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

__all__ = ["fuzz"]

fuzz = settings(
    max_examples=int(os.environ.get("CODIN_FUZZ_EXAMPLES", "40")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
"""The settings of every test here."""
