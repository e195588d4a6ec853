"""Clients of other services: `bali add order` writes one."""
