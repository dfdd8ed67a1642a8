"""Trace viewer of the demo: an OTLP receiver that keeps spans in memory and draws each trace as a waterfall."""
