"""privatelink_lab: build, share and remove an AWS PrivateLink service and its customers."""

__version__ = "0.1.0"
