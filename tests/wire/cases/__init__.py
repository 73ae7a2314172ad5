"""The rows of `tests.packets`, a file for each family of packets."""
