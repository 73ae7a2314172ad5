"""Wheel and sdist: built, and installed into clean environments."""
