"""The pages of a customer, each behind a signed link: where an issue is, the report form, the survey.

Reading order: `progress` (what a status page says, pure), `links`, `store`, then one module of routes per page.
"""
