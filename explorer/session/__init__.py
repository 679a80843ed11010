"""One kernel being looked at: its target, its catalog, its probes and their events. No screen code."""
