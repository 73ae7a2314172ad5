"""Real processes, as they are started and ended."""
