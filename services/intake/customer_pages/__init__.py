"""Customer pages behind signed links: status page, report form and survey.

Reading order: `links`, `status_view` (content of a status page, pure), then `status_page`, `report_form` and `survey`.
All SQL is in `store/customer_pages.py`.
"""
