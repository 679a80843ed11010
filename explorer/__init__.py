"""The explorer: a terminal program and a command line, without privilege. The agent is its only root part."""
