#!/bin/sh
# Writes the broker's one account, its password hashed, into memory; then becomes the broker.
set -eu
umask 077

mosquitto_passwd -c -b /run/mosquitto/passwords "${MQTT_USER:?is empty}" "${MQTT_PASSWORD:?is empty}"
exec mosquitto -c /mosquitto/config/mosquitto.conf
