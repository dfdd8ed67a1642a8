"""Metrics of reports, detection of clusters, and holds and warnings that follow from them.

Reading order: `sequential` (the statistics), `detection` (which lots and products are clusters), `clusters` and
`cluster_decisions` (the aggregate), `detection_loop`, `routes`. All SQL is in `store/insights`.
"""
