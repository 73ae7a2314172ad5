"""The client: what a program connects, publishes and subscribes with.

Whatever decides by itself (addresses, codecs, patterns of topics, routes to handlers) is plain code without a socket;
what opens connections, waits and comes back stands beside it. The rules of MQTT are those of `core`, and none of them
may be written again here. Nothing here prints.
"""
