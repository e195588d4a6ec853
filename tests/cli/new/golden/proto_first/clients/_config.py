"""Where other services are: `bali add` adds a line for each.

An address is read from the environment, as in
`USER_GRPC_ADDRESS = os.environ.get("USER_GRPC_ADDRESS", "localhost:9080")`.
"""
