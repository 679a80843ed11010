"""What all layers of the test suite share."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.lab_layer", "tests.lab_engines", "tests.tables"]

# Machines differ: how long an example may take says nothing. Those of tests/fuzz have limits of work and memory.
settings.register_profile("lean", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lean")
settings.register_profile("fuzz", max_examples=int(os.environ.get("EXAMPLES", "10000")), deadline=None)
