"""Settings of the whole test run."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: the workers are one for each core

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
