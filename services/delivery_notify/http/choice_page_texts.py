"""What the choice page says, per language."""

from dataclasses import dataclass

from libs.common.events.notices import Change
from libs.common.events.values import Choice, Language


@dataclass(frozen=True, slots=True)
class ChoicePageTexts:
    ask_title: str
    ask: str
    changes: dict[Change, str]
    what_to_change: str
    wished_day: str
    wished_item: str
    address: dict[str, str]
    thanks_change: dict[Change, str]
    wrong_item: str
    wrong_address: str
    send: str
    order: str
    items: str
    ship_date: str
    previous_date: str
    restock: str
    next_word: str
    your_answer: str
    wished: str
    thanks_title: str
    thanks: dict[Choice, str]
    first_stands: str
    late_title: str
    late: str
    closed_title: str
    closed: dict[str, str]
    closed_else: str
    wrong_day: str
    wrong_choice: str


JAPANESE = ChoicePageTexts(
    ask_title="ご希望をお聞かせください",
    ask="どのようにいたしましょうか",
    changes={Change.DATE: "日にち", Change.ITEM: "お品", Change.ADDRESS: "お届け先"},
    what_to_change="変更なさりたいこと",
    wished_day="ご希望の発送日",
    wished_item="ご希望のお品(商品名、または品番)",
    address={
        "name": "お名前",
        "postal_code": "郵便番号",
        "region": "都道府県",
        "city": "市区町村",
        "street": "番地",
        "building": "建物名・部屋番号(なければ空欄)",
        "phone": "電話番号(なければ空欄)",
        "country": "国(2文字)",
    },
    thanks_change={
        Change.DATE: "ご希望の日を承りました。その日に発送できない場合は、あらためてご連絡いたします。",
        Change.ITEM: "お品の変更を承りました。担当者が在庫とお値段をお調べし、結果をご連絡いたします。",
        Change.ADDRESS: "新しいお届け先を承りました。そちらへお届けするよう手配いたします。",
    },
    wrong_item="ご希望のお品を、商品名か品番でお書きください。",
    wrong_address="お届け先の、お名前、郵便番号、市区町村、番地をお書きください。",
    send="この内容で送る",
    order="ご注文番号",
    items="お品",
    ship_date="発送日",
    previous_date="前の発送日",
    restock="入荷の日",
    next_word="次のご連絡",
    your_answer="ご希望",
    wished="ご希望の日",
    thanks_title="ご希望を承りました",
    thanks={
        Choice.WAIT: "お待ちくださるとのこと、ありがとうございます。お約束の日に発送できるよう進めます。",
        Choice.CHANGE: "ご希望の日を承りました。その日に発送できない場合は、あらためてご連絡いたします。",
        Choice.CANCEL: "キャンセルを承りました。ここから先の手続きはこちらで進めます。",
        Choice.REFUND: "ご返金を承りました。ここから先の手続きはこちらで進めます。",
    },
    first_stands="お返事はすでにいただいております。はじめにお選びいただいた内容で進めております。",
    late_title="お返事の期限が過ぎました",
    late="期限までにお返事がなかったため、メールでお知らせしたとおりに進めております。"
    "変更なさりたい場合は、メールにご返信ください。",
    closed_title="このご質問は終わっております",
    closed={
        "shipped": "お品はすでに発送いたしました。お選びいただく必要はなくなりました。",
        "delivered": "お品はすでにお届けいたしました。お選びいただく必要はなくなりました。",
        "cancelled": "すでに取り消されております。お選びいただく必要はなくなりました。",
        "promised": "発送日が決まり、いちばん新しいメールでお知らせしております。お選びいただく必要はなくなりました。",
        "refund": "ご返金の手続きを始めております。お選びいただく必要はなくなりました。",
        "superseded": "新しいお知らせをお送りしております。いちばん新しいメールのリンクをお開きください。",
    },
    closed_else="手続きはすでに進んでおります。ご不明な点は、メールにご返信ください。",
    wrong_day="発送日は、明日から1年以内の日をお選びください。",
    wrong_choice="次の中から、ひとつお選びください。",
)
ENGLISH = ChoicePageTexts(
    ask_title="How would you like us to go on?",
    ask="Your choice",
    changes={Change.DATE: "The day", Change.ITEM: "The item", Change.ADDRESS: "The address"},
    what_to_change="What would you like to change?",
    wished_day="The ship date you would like",
    wished_item="The item you would like instead (its name or number)",
    address={
        "name": "Name",
        "street": "Street and number",
        "building": "Flat, floor (if any)",
        "city": "City",
        "region": "State or region",
        "postal_code": "Postal code",
        "country": "Country (2 letters)",
        "phone": "Telephone (if you like)",
    },
    thanks_change={
        Change.DATE: "We have noted the day you would like. If it has to be another one, we will write to you.",
        Change.ITEM: "We have noted the item you would like. A colleague looks into it and writes to you.",
        Change.ADDRESS: "We have noted the new address and will send your order there.",
    },
    wrong_item="Please write which item you would like, by its name or number.",
    wrong_address="Please write name, street, city and postal code of the address.",
    send="Send my choice",
    order="Order",
    items="Items",
    ship_date="Ships on",
    previous_date="Ship date before",
    restock="Back on",
    next_word="Our next word",
    your_answer="Your choice",
    wished="The day you chose",
    thanks_title="We have your choice",
    thanks={
        Choice.WAIT: "Thank you for waiting. We are working to ship on the day we told you.",
        Choice.CHANGE: "We have noted the day you would like. If it has to be another one, we will write to you.",
        Choice.CANCEL: "We have your cancellation and take care of the rest.",
        Choice.REFUND: "We will refund you and take care of the rest.",
    },
    first_stands="We have your answer already, and we are acting on the first one you gave.",
    late_title="The time to answer is over",
    late="We did not hear from you in time, so we went on as our message said. "
    "If you would like something else, please reply to that message.",
    closed_title="There is nothing left to choose here",
    closed={
        "shipped": "Your item has already shipped, so there is nothing left to choose.",
        "delivered": "Your item has already been delivered, so there is nothing left to choose.",
        "cancelled": "This was cancelled, so there is nothing left to choose.",
        "promised": "There is a ship date again: you find it in our newest message. There is nothing left to choose.",
        "refund": "Your refund is under way, so there is nothing left to choose.",
        "superseded": "We have sent you newer news. Please open the link in our newest message.",
    },
    closed_else="We have already gone on with this. If anything is unclear, please reply to our message.",
    wrong_day="Please choose a ship date from tomorrow up to a year from now.",
    wrong_choice="Please choose one of these.",
)
CHOICE_PAGE_TEXTS = {Language.JA: JAPANESE, Language.EN: ENGLISH}

BAD_LINK_TITLE = "リンクを開けませんでした / We could not open this link"
BAD_LINK = (
    "リンクが途中で切れているか、期限が過ぎています。いちばん新しいメールのリンクをお開きください。",
    "The link is incomplete or too old. Please open the one in our newest message.",
)
