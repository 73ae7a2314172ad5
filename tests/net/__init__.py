"""Sockets and turns of the loop, with a transport that a test holds in its hands."""
