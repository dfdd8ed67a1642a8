"""Journeys through all four services on a real broker and real Postgres: how an order goes wrong, and its outcome.

| topic | journey | |---|---| | ship first, collect later, points | `test_replacement` | | units counted one by one: out
of stock, another variant, several parcels | `test_returns` | | receipts counted one by one, wrong items, scans, refund
on receipt | `test_goods_and_money` | | policy by reason, group and value: part only, wrong item, kept, lost and found |
`test_goods_and_money` | | review over the exposure limit, with a date for the customer | `test_returns` | | not
collected: reminders, then a review | `test_reports` | | out of stock: choice by link, or the default at its deadline |
`test_replacement`, `test_reports` | | swap, a chosen window, missed and waived | `test_returns` | | a defective
replacement, and one visit for both | `test_goods_and_money` | | missing details are requested; silence closes, later
details reopen; duplicates | `test_reports` | | staff reject, accept, choose a remedy, reopen | `test_reports` | | an
inspection that does not match | `test_goods_and_money` | | a storefront by webhook alone | `test_shopify` | | a
defective lot is detected, held, and its buyers warned | `test_learning` |
"""
