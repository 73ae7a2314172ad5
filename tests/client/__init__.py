"""The client, piece by piece and as a whole."""
