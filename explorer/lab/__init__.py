"""The lab: a throwaway kernel with kprobes in QEMU, sharing this machine's files read-only."""
