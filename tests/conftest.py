"""What all layers of the test suite share."""

pytest_plugins = ["tests.lab_layer", "tests.tables"]
