"""The ops desk: what needs a human now, one issue's whole story, and what staff may do about it.

Reading order: `work` (what waits, from events), `next_steps` (what comes next, and why), `store` (all SQL of the desk),
`sessions` and `guard` (who may see and do what), `pages` and `actions` (routes).
"""
