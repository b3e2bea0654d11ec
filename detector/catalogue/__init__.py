"""The models that ARGO may run: a card for each, and how a model's file comes to this machine."""
