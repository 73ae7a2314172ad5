"""The rules of MQTT, without a socket and without a clock."""
