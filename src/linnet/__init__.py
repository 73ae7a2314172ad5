"""linnet: an MQTT broker."""
