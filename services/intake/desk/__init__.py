"""Operations desk for staff: work queue, issue pages, decisions, dead letters and insights.

Reading order: `context` (objects behind the routes), `auth` and `sessions`, `pages` with `page_models`,
`issue_actions` with `decisions`, `next_steps`. All SQL is in `store/desk.py`.
"""
