"""Texts of staff notices in the shop's language: event, order, instruction. No personal data."""

import html
from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.events.values import Language
from services.delivery_notify.channels.channel import RenderedMessage
from services.delivery_notify.domain.staff_notices import StaffKind

_SUBJECTS = {
    Language.JA: {
        StaffKind.REVIEW_REQUESTED: "確認をお願いします: ご注文 {order_id}",
        StaffKind.CANCEL_NOT_CARRIED_OUT: "キャンセルがまだ済んでいません: ご注文 {order_id}",
        StaffKind.CHANGE_REQUESTED: "お客様からのご希望({requested}): ご注文 {order_id}",
        StaffKind.CHANGE_UNANSWERED: "ご希望({requested})に回答がありません: ご注文 {order_id}",
        StaffKind.CHANGE_OVERTAKEN: "ご希望({requested})の前にお品が発送されました: ご注文 {order_id}",
        StaffKind.NOTICE_FAILED: "お知らせが届けられませんでした: ご注文 {order_id}",
        StaffKind.ADDRESS_SUPPRESSED: "宛先が使えなくなりました: お客様 {customer_id}",
        StaffKind.CUSTOMER_UNREACHABLE: "お客様に連絡する手段がありません: お客様 {customer_id}",
        StaffKind.MAIL_BLOCKED: "メールサーバーが拒否されています: {cause}",
        StaffKind.DEAD_LETTERS: "取り込めないイベントがあります: {topic}",
    },
    Language.EN: {
        StaffKind.REVIEW_REQUESTED: "Please decide: order {order_id}",
        StaffKind.CANCEL_NOT_CARRIED_OUT: "A cancellation is not carried out: order {order_id}",
        StaffKind.CHANGE_REQUESTED: "A customer asks for a change: {requested}, order {order_id}",
        StaffKind.CHANGE_UNANSWERED: "A request is not answered: {requested}, order {order_id}",
        StaffKind.CHANGE_OVERTAKEN: "Goods were shipped despite a request: {requested}, order {order_id}",
        StaffKind.NOTICE_FAILED: "A notice could not be delivered: order {order_id}",
        StaffKind.ADDRESS_SUPPRESSED: "An address is no longer used: customer {customer_id}",
        StaffKind.CUSTOMER_UNREACHABLE: "There is no way to reach a customer: {customer_id}",
        StaffKind.MAIL_BLOCKED: "Our mail server is refused: {cause}",
        StaffKind.DEAD_LETTERS: "Events could not be processed: {topic}",
    },
}
_INSTRUCTIONS = {
    Language.JA: {
        StaffKind.REVIEW_REQUESTED: "お客様には期日までにお返事するとお伝えしています。内容を見て決めてください。",
        StaffKind.CANCEL_NOT_CARRIED_OUT: "お客様はキャンセルを選ばれています。店舗側の手続きを確かめてください。",
        StaffKind.CHANGE_REQUESTED: "期日までに、できるかどうかを店舗のシステムかデスクで回答してください。",
        StaffKind.CHANGE_UNANSWERED: "お客様には、確認中であることと次の連絡の日をお伝えずみです。回答してください。",
        StaffKind.CHANGE_OVERTAKEN: "お客様には受け取り不要とお伝えずみです。配送会社と返金の手配をお願いします。",
        StaffKind.NOTICE_FAILED: "お客様はこの件をまだご存じありません。電話など、別の方法でお伝えください。",
        StaffKind.ADDRESS_SUPPRESSED: "この宛先にはもう送りません。正しい宛先がわかったら、設定を直してください。",
        StaffKind.CUSTOMER_UNREACHABLE: "お客様はこの件をまだご存じありません。連絡先を調べてお伝えください。",
        StaffKind.MAIL_BLOCKED: "お知らせは送らずに待っています。ブロックリストと送信元の設定を確かめてください。",
        StaffKind.DEAD_LETTERS: "原因を直したあと、/ops/dead-letters から取り込み直してください。",
    },
    Language.EN: {
        StaffKind.REVIEW_REQUESTED: "The customer was told to hear from us by then. Please look and decide.",
        StaffKind.CANCEL_NOT_CARRIED_OUT: "The customer chose to cancel. Please see why the shop has not done it.",
        StaffKind.CHANGE_REQUESTED: "Please answer by then, in the shop or at the desk, whether it can be done.",
        StaffKind.CHANGE_UNANSWERED: "The customer knows that we are looking into it, and until when. Please answer.",
        StaffKind.CHANGE_OVERTAKEN: "The customer may refuse the parcel. Please recall it and see to the refund.",
        StaffKind.NOTICE_FAILED: "The customer does not know of this yet. Please tell them by telephone.",
        StaffKind.ADDRESS_SUPPRESSED: "We write there no more. Correct the preferences once you know a right address.",
        StaffKind.CUSTOMER_UNREACHABLE: "The customer does not know of this yet. Please find out how to reach them.",
        StaffKind.MAIL_BLOCKED: "The notices wait. Please check block lists and the settings of our mail server.",
        StaffKind.DEAD_LETTERS: "Once the cause is fixed, replay them from /ops/dead-letters.",
    },
}
_REQUESTED = {
    Language.JA: {"cancel": "キャンセル", "date": "発送日の変更", "item": "お品の変更", "address": "お届け先の変更"},
    Language.EN: {"cancel": "cancellation", "date": "ship date", "item": "item", "address": "address"},
}


@dataclass(frozen=True, slots=True)
class StaffTexts:
    language: Language
    shop: str

    def render(self, kind: str, facts: Mapping[str, str]) -> RenderedMessage:
        """Raises `ValueError` for an unknown kind and `KeyError` for a missing fact."""
        known = StaffKind(kind)
        requested = _REQUESTED[self.language].get(facts.get("requested", ""))
        named = {**facts, "requested": requested} if requested else facts
        subject = _SUBJECTS[self.language][known].format_map(named)
        rows = [f"{name}: {value}" for name, value in sorted(facts.items())]
        text = "\n".join([_INSTRUCTIONS[self.language][known], "", *rows]) + "\n"
        page = f"<!doctype html><html lang={self.language}><meta charset=utf-8><pre>{html.escape(text)}</pre></html>"
        return RenderedMessage(subject, text, page, subject)
