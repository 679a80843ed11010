"""The commands of the command line, one a file, each with ``run(options) -> exit code``."""
