"""Settings of the whole test run."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tinygrad_edu",
    deadline=None,
    database=None,
    print_blob=True,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tinygrad_edu")
