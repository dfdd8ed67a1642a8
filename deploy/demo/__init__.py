"""The demo: partner simulators that use only HTTP and Kafka, the orders they replay, and the run with its audit.

Reading order: `data/orders` and its readers (`bundled`, `olist`), `partners/report_scenarios` (reports by seed),
`partners/order_lifecycle` (orders as timed events), `partners/partner` (the common part of all partners), then one
module per partner, then `run`.
"""
