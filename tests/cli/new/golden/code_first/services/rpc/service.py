"""A place for servicers written by hand: the resources are served over gRPC without any.

Derive a class from what protoc made of a .proto of your own, call a resource in it, as in
`UserResource(request, context, Answer).get_user()`, and mount it in `main.py` with
`app.add_servicer(...)`.
"""
