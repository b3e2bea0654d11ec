"""The plumbing that the services of ARGO share. It knows no service."""
