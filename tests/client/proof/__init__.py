"""The promises of the client, each proved against this broker and against Mosquitto."""
