"""The gRPC servicers: they unpack a request, call, and pack the answer."""
