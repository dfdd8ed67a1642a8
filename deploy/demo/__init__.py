"""The demo: partners that speak only HTTP and Kafka, the data they replay, and the auditor.

Reading order: `orders` and its two readers (`bundled`, `olist`), `story` (what goes wrong, drawn from a seed), `script`
(the same as timed actions), `partner` (what all partners share), then one module per partner, then `audit`.
"""
