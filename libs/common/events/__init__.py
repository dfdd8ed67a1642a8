"""The contract: every topic, event and value that crosses a border (design section 4).

Reading order: `topics`, `envelope`, `values`, then one module per conversation; `registry` lists them all.
"""
