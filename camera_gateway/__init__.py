"""camera_gateway: turns cameras into frames with a true capture time."""
