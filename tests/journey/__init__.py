"""Journeys over all four services on a real broker and real Postgres: how an order goes wrong, and what becomes of it.

| what | journey |
|---|---|
| ship first, collect later, points | `test_replacement` |
| pieces counted one by one: short, another colour, several parcels | `test_returns` |
| counted back one by one, and something else; a scan is no inspection; refund on receipt | `test_goods_and_money` |
| the policy by reason, group and value: part only, wrong item, kept, lost and turned up | `test_goods_and_money` |
| over the cap a human decides, and the customer is told when | `test_returns` |
| not collected: reminders, then a human | `test_reports` |
| out of stock: chosen by link, or the fair default on its day | `test_replacement`, `test_reports` |
| swap, a window picked, missed and waived | `test_returns` |
| a replacement that is broken too, and one visit for both | `test_goods_and_money` |
| what is missing is asked for; silence closes, what comes later opens; duplicates | `test_reports` |
| staff reject, accept, choose a remedy, reopen | `test_reports` |
| an inspection that does not match | `test_goods_and_money` |
| a storefront by webhook alone | `test_shopify` |
| a bad lot is found, held, and its buyers warned | `test_learning` |
"""
