"""Public texts of ledger entries per language. Placeholder: `{order}`."""

from libs.common.events.values import Language

TEXTS: dict[str, dict[Language, str]] = {
    "apology": {
        Language.JA: "ご迷惑をおかけしたお詫び",
        Language.EN: "To say sorry",
    },
    "purchase": {
        Language.JA: "ご注文 {order} のお買い上げポイント",
        Language.EN: "For your order {order}",
    },
    "birthday": {
        Language.JA: "お誕生日おめでとうございます",
        Language.EN: "Happy birthday",
    },
    "goodwill": {
        Language.JA: "当店からの感謝のしるし",
        Language.EN: "With our thanks",
    },
    "correction": {
        Language.JA: "ポイントの訂正",
        Language.EN: "Correction of your points",
    },
    "vested": {
        Language.JA: "ポイントをご利用いただけるようになりました",
        Language.EN: "These points can be spent now",
    },
    "debt_paid": {
        Language.JA: "取り消されたポイントのご利用分に充当",
        Language.EN: "Used for points that were spent and then taken back",
    },
    "issue_reopened": {
        Language.JA: "お問い合わせの再開・取り消しに伴う取り消し",
        Language.EN: "Taken back, because the case was reopened or cancelled",
    },
    "refunded": {
        Language.JA: "ご注文 {order} の返金に伴う取り消し",
        Language.EN: "Taken back, because order {order} was refunded",
    },
    "order_cancelled": {
        Language.JA: "ご注文 {order} のキャンセルに伴う取り消し",
        Language.EN: "Taken back, because order {order} was cancelled",
    },
    "reserved": {
        Language.JA: "ご注文 {order} のために確保",
        Language.EN: "Set aside for order {order}",
    },
    "redeemed": {
        Language.JA: "ご注文 {order} でご利用",
        Language.EN: "Spent on order {order}",
    },
    "released": {
        Language.JA: "ご注文 {order} のための確保を解除",
        Language.EN: "No longer set aside for order {order}",
    },
    "reservation_expired": {
        Language.JA: "ご注文 {order} のための確保の期限切れ",
        Language.EN: "No longer set aside for order {order}: the time was up",
    },
    "returned": {
        Language.JA: "ご注文 {order} でご利用のポイントを返却",
        Language.EN: "Given back: spent on order {order}",
    },
    "expired": {
        Language.JA: "有効期限切れ",
        Language.EN: "Expired",
    },
}


def entry_text(code: str, language: Language, order_id: str | None = None) -> str:
    """Return the text of a code; the code itself if it is unknown (written by a newer version)."""
    texts = TEXTS.get(code)
    return texts[language].format(order=order_id or "") if texts else code
