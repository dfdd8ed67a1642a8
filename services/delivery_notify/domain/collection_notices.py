"""When the courier met nobody, or the item has not come back yet: told with the next day, and never as a reproach."""

from datetime import datetime

from libs.common.decisions.facts import Ignored
from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueCollectionAttempted, IssueCollectionReminded
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.issue_thread import Talk
from services.delivery_notify.domain.notices import NoticeFacts, Outcome
from services.delivery_notify.domain.replacements import issue_facts, tell, withdraw_issue
from services.delivery_notify.policy.notification_rules import Rules

ABOUT_PICKUPS = frozenset(
    {NoticeKind.COLLECTION_BOOKED, NoticeKind.COLLECTION_ATTEMPTED, NoticeKind.COLLECTION_REMINDED}
)
"""The newest of these is the one that counts."""


def attempted(
    conversation: Conversation, talk: Talk, event: IssueCollectionAttempted, now: datetime, rules: Rules
) -> Outcome:
    """Without a next day a human arranges one, and the appointment will be the news."""
    talk = replace(talk, missed=talk.missed + 1)
    conversation = conversation.with_talk(talk)
    if event.next_date is None:
        return conversation, [Ignored("a_human_arranges_it")]
    facts = NoticeFacts(day=event.next_date, word=event.attempt, **issue_facts(conversation, talk))
    taken_back = withdraw_issue(conversation, talk.issue_id, ABOUT_PICKUPS, "overtaken")
    cause = (event.collection_id, event.attempt)
    kind = NoticeKind.COLLECTION_ATTEMPTED
    conversation, told = tell(conversation, talk, kind, facts, now, cause=cause)
    return conversation, [*taken_back, *told]


def reminded(
    conversation: Conversation, talk: Talk, event: IssueCollectionReminded, now: datetime, rules: Rules
) -> Outcome:
    about_it = issue_facts(conversation, talk)
    facts = NoticeFacts(day=event.next_date, next_word=event.due_on, word=event.reminder, **about_it)
    taken_back = withdraw_issue(conversation, talk.issue_id, ABOUT_PICKUPS, "overtaken")
    cause = (talk.issue_id, event.reminder, event.next_date)
    kind = NoticeKind.COLLECTION_REMINDED
    conversation, told = tell(conversation, talk, kind, facts, now, cause=cause)
    return conversation, [*taken_back, *told]
