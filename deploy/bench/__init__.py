"""The bench: floods the running system and says what it can carry (`make bench`).

Reading order: `options`, `system` (what is started), `orders` (what is loaded and reported), `partner` (who answers),
`http` and `load` (how reports are sent), `completion` (when a lifecycle counts), `latency`, `usage`, then `bare_plan`
and `bare` (the loop that shows the limit), `figures` and `report`.
"""
