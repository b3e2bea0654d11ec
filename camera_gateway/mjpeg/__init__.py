"""Motion JPEG over HTTP (multipart/x-mixed-replace), as the older cameras send it."""
