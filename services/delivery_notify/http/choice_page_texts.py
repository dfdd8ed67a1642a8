"""Texts of the choice page, per language."""

from dataclasses import dataclass

from libs.common.events.notices import ChangeSubject
from libs.common.events.values import Choice, Language


@dataclass(frozen=True, slots=True)
class ChoicePageTexts:
    question_title: str
    question: str
    changes: dict[ChangeSubject, str]
    change_label: str
    requested_date: str
    requested_item: str
    address: dict[str, str]
    thanks_change: dict[ChangeSubject, str]
    missing_item: str
    missing_address: str
    send: str
    order: str
    items: str
    ship_date: str
    previous_date: str
    restock: str
    next_update: str
    your_answer: str
    chosen_date: str
    thanks_title: str
    thanks: dict[Choice, str]
    already_answered: str
    deadline_passed_title: str
    deadline_passed: str
    closed_title: str
    closed: dict[str, str]
    closed_other: str
    invalid_date: str
    invalid_choice: str


JAPANESE = ChoicePageTexts(
    question_title="ご希望をお聞かせください",
    question="どのようにいたしましょうか",
    changes={ChangeSubject.DATE: "日にち", ChangeSubject.ITEM: "お品", ChangeSubject.ADDRESS: "お届け先"},
    change_label="変更なさりたいこと",
    requested_date="ご希望の発送日",
    requested_item="ご希望のお品(商品名、または品番)",
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
        ChangeSubject.DATE: "ご希望の日を承りました。その日に発送できない場合は、あらためてご連絡いたします。",
        ChangeSubject.ITEM: "お品の変更を承りました。担当者が在庫とお値段をお調べし、結果をご連絡いたします。",
        ChangeSubject.ADDRESS: "新しいお届け先を承りました。そちらへお届けするよう手配いたします。",
    },
    missing_item="ご希望のお品を、商品名か品番でお書きください。",
    missing_address="お届け先の、お名前、郵便番号、市区町村、番地をお書きください。",
    send="この内容で送る",
    order="ご注文番号",
    items="お品",
    ship_date="発送日",
    previous_date="前の発送日",
    restock="入荷の日",
    next_update="次のご連絡",
    your_answer="ご希望",
    chosen_date="ご希望の日",
    thanks_title="ご希望を承りました",
    thanks={
        Choice.WAIT: "お待ちくださるとのこと、ありがとうございます。お約束の日に発送できるよう進めます。",
        Choice.CHANGE: "ご希望の日を承りました。その日に発送できない場合は、あらためてご連絡いたします。",
        Choice.CANCEL: "キャンセルを承りました。ここから先の手続きはこちらで進めます。",
        Choice.REFUND: "ご返金を承りました。ここから先の手続きはこちらで進めます。",
    },
    already_answered="お返事はすでにいただいております。はじめにお選びいただいた内容で進めております。",
    deadline_passed_title="お返事の期限が過ぎました",
    deadline_passed="期限までにお返事がなかったため、メールでお知らせしたとおりに進めております。"
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
    closed_other="手続きはすでに進んでおります。ご不明な点は、メールにご返信ください。",
    invalid_date="発送日は、明日から1年以内の日をお選びください。",
    invalid_choice="次の中から、ひとつお選びください。",
)
ENGLISH = ChoicePageTexts(
    question_title="How would you like us to go on?",
    question="Your choice",
    changes={ChangeSubject.DATE: "The day", ChangeSubject.ITEM: "The item", ChangeSubject.ADDRESS: "The address"},
    change_label="What would you like to change?",
    requested_date="The ship date you would like",
    requested_item="The item you would like instead (its name or number)",
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
        ChangeSubject.DATE: "We have noted the day you would like. If it has to be another one, we will write to you.",
        ChangeSubject.ITEM: "We have noted the item you would like. A colleague looks into it and writes to you.",
        ChangeSubject.ADDRESS: "We have noted the new address and will send your order there.",
    },
    missing_item="Please write which item you would like, by its name or number.",
    missing_address="Please write name, street, city and postal code of the address.",
    send="Send my choice",
    order="Order",
    items="Items",
    ship_date="Ships on",
    previous_date="Ship date before",
    restock="Back on",
    next_update="Our next word",
    your_answer="Your choice",
    chosen_date="The day you chose",
    thanks_title="We have your choice",
    thanks={
        Choice.WAIT: "Thank you for waiting. We are working to ship on the day we told you.",
        Choice.CHANGE: "We have noted the day you would like. If it has to be another one, we will write to you.",
        Choice.CANCEL: "We have your cancellation and take care of the rest.",
        Choice.REFUND: "We will refund you and take care of the rest.",
    },
    already_answered="We have your answer already, and we are acting on the first one you gave.",
    deadline_passed_title="The time to answer is over",
    deadline_passed="We did not hear from you in time, so we went on as our message said. "
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
    closed_other="We have already gone on with this. If anything is unclear, please reply to our message.",
    invalid_date="Please choose a ship date from tomorrow up to a year from now.",
    invalid_choice="Please choose one of these.",
)
CHOICE_PAGE_TEXTS = {Language.JA: JAPANESE, Language.EN: ENGLISH}

BAD_LINK_TITLE = "リンクを開けませんでした / We could not open this link"
BAD_LINK = (
    "リンクが途中で切れているか、期限が過ぎています。いちばん新しいメールのリンクをお開きください。",
    "The link is incomplete or too old. Please open the one in our newest message.",
)
