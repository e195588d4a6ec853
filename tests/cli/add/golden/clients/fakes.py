"""The fakes of all clients, for tests."""

# bali: clients (this block is written by `bali add`; the rest of the file is yours)
from .intermediates.user.user_fake import (
    AsyncFakeUserClient as AsyncFakeUserClient,
    FakeUserClient as FakeUserClient,
)
# bali: end
