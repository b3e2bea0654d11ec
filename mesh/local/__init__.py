"""The embedded runner: the whole mesh as processes of one machine, and the ``argo`` command line.

Nothing here is a second implementation of anything: the services that run are the ones of the data centre, started with
loopback addresses, throw-away certificates, an embedded NATS server and an embedded PostgreSQL.
"""
