"""What runs inside the lab: standard library only, by the host's own Python."""
