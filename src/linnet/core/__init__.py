"""The rules of MQTT: who is here, where a message goes, what is owed to whom.

No asyncio, no socket, no database, no clock and no log may come in: time is an argument, and what happened is counted
here and told to observers (`ports`).
"""
