"""How hard the properties are tested: HEP_FLOWS_TORTURE is the factor by which the number of examples grows, with new random ones.

Without it the examples are few and the same in every run, so that a red test is always about the code.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_TORTURE = int(os.environ.get("HEP_FLOWS_TORTURE", "0"))
_QUICK = 60

# Whole expressions over whole tables are large for Hypothesis; that they are is no fault.
_LARGE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example)

settings.register_profile(
    "hep_flows",
    deadline=None,
    derandomize=not _TORTURE,
    database=None,
    max_examples=_QUICK * max(_TORTURE, 1),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=_LARGE,
    print_blob=True,
)
settings.load_profile("hep_flows")
