"""Clients of other services, written by `bali add`."""

# bali: clients (this block is written by `bali add`; the rest of the file is yours)
from .intermediates.user.user_client import (
    AsyncUserClient as AsyncUserClient,
    UserClient as UserClient,
)
# bali: end
