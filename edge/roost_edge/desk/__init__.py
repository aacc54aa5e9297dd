"""The desk: whoever may ask the device something asks here, over MQTT (promise P8)."""
