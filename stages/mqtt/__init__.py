"""MQTT: names of topics, messages, events that wait on disk, and the thread that talks to the broker."""
