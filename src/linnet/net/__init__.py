"""Sockets: what reads and writes them, and the clock.

Here bytes come in and go out, and here the time is asked for. No rule of MQTT may come in.
"""
