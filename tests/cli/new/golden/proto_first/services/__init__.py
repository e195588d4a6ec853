"""The ways in: plain HTTP routes, hand-written gRPC servicers, and the database below."""
