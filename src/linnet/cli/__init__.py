"""The `linnet` command: main.py finds the verb, and every verb has a file of its own.

This is the only room that prints, reads the environment and chooses exit codes: 0 is well, 1 could not run,
2 was asked wrongly. What only one verb needs is imported when that verb runs. No rule of MQTT may come in here.
"""
