"""What a subscription does with its messages: when they are acknowledged, and what a full inbox does with another."""

from __future__ import annotations

# When a message is acknowledged
PROCESSED = 0  # when the next one is asked for, or the handler has returned
ARRIVAL = 1  # at once, as long as there is room for it
MANUAL = 2  # when the program says so

# What a full inbox does with another message of QoS 0
DROP_OLDEST = 0
DROP_NEWEST = 1
WAIT = 2  # nothing is read from the server until there is room

POLICIES = {"drop_oldest": DROP_OLDEST, "drop_newest": DROP_NEWEST, "wait": WAIT}
ACKNOWLEDGEMENTS = {"processed": PROCESSED, "arrival": ARRIVAL, "manual": MANUAL}
