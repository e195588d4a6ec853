"""The modules that protoc made of other services' contracts; written by `bali add`."""
