"""Values with a name and a meaning that more than one module needs."""

MAX_NAME_LENGTH = 100
MAX_REASON_LENGTH = 200
