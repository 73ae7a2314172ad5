"""The proof of every limit: it is reached from outside, and nobody else notices."""
