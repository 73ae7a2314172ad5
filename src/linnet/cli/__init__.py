"""The `linnet` command: main.py finds the verb, and every verb has a file of its own.

This is the only room that prints, reads the environment and chooses exit codes: 0 is well, 1 could not run,
2 was asked wrongly. A module imports at its top only what every verb needs, and `serve` imports the broker
when it runs, so that `linnet --version` and `linnet config` answer at once. No rule of MQTT may come in here.
"""
