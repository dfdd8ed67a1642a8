"""Common library of all services, and the version of Sakidashi."""

__version__ = "0.1.0"
