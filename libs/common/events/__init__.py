"""Public contract: topics, events and values exchanged with partners and between services.

Reading order: `topics`, `envelope`, `values`, then one module per topic family; `registry` lists all events.
"""
