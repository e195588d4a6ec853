"""The gRPC side: what `bali build` compiled, and servicers written by hand."""
