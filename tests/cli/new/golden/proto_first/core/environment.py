"""Where this process runs, as the platform tells it. Log lines carry it; nothing depends on it."""

import os
import socket

#: The name of the service.
SERVICE = "user"
#: What was deployed: set it to the commit when the image is built.
VERSION = os.environ.get("VERSION", "unknown")
#: Which of several: the name of the container or pod.
INSTANCE = socket.gethostname()
