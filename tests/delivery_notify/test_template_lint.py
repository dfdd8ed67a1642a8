"""Template linter: each rule fails once, for our templates and those of a shop."""

from pathlib import Path

import pytest
from jinja2 import meta
from pydantic import SecretStr

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.app import create_app
from services.delivery_notify.policy.consent_law import Element, laws
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.shop import Shop
from services.delivery_notify.rendering.template_lint import InvalidTemplatesError, check, lint
from services.delivery_notify.rendering.template_samples import SAMPLES
from services.delivery_notify.settings import NotifySettings
from tests.delivery_notify.conversation_driver import CALENDAR
from tests.delivery_notify.rendered_notices import LINKS, RENDERER, sample_notice

OURS = Path("services/delivery_notify/rendering/templates")

GOOD = """{% extends layout %}
{% block subject %}Your parcel leaves on {{ day }}{% endblock %}
{% block body %}It leaves on {{ day }}, not on {{ previous_day }}. Sorry, and thank you.{% endblock %}
{% block facts %}Items|{{ items }}{% endblock %}
"""


def shop(folder: Path, name: str, text: str) -> Renderer:
    """Renderer of a shop with one template of its own."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return Renderer(CALENDAR, LINKS, Shop("さきだし商店", "さきだし商店、電話 03-0000-0000"), folder)


def test_our_own_templates_have_no_fault() -> None:
    assert lint(RENDERER) == []


@pytest.mark.parametrize("language", Language)
def test_every_kind_has_a_template_and_a_sample(language: Language) -> None:
    assert {kind for kind, _ in SAMPLES.values()} == set(NoticeKind)
    assert {path.stem for path in (OURS / language).glob("*.jinja")} == set(NoticeKind)


def test_a_shop_may_replace_a_template(tmp_path: Path) -> None:
    renderer = shop(tmp_path, "en/order_delayed.jinja", GOOD)
    assert lint(renderer) == []
    rendered = renderer.render(sample_notice("order delayed", Language.EN))
    assert rendered.subject.startswith("[さきだし商店] Your parcel leaves on")


def test_no_notice_of_ours_contains_another_so_a_shops_notice_is_checked_alone() -> None:
    notices = {f"{language}/{kind}.jinja" for language in Language for kind in NoticeKind}
    contained = {name for file in notices for name in meta.find_referenced_templates(RENDERER.parse(file)) if name}
    assert contained & notices == set()


def test_a_template_contains_text_and_never_markup(tmp_path: Path) -> None:
    renderer = shop(tmp_path, "en/order_delayed.jinja", GOOD.replace("Sorry, and", "<b>Sorry</b> &"))
    rendered = renderer.render(sample_notice("order delayed", Language.EN))
    assert "<b>Sorry</b> & thank you." in rendered.text
    assert "&lt;b&gt;Sorry&lt;/b&gt; &amp; thank you." in rendered.html


def test_a_template_may_extend_a_block_of_the_layout(tmp_path: Path) -> None:
    more = GOOD + "{% block order %}{{ super() }}\nTelephone|03-0000-0000{% endblock %}\n"
    rendered = shop(tmp_path, "en/order_delayed.jinja", more).render(sample_notice("order delayed", Language.EN))
    assert "Order: O-2027-0301\nTelephone: 03-0000-0000" in rendered.text
    assert rendered.html.index("O-2027-0301") < rendered.html.index("03-0000-0000")


def test_templates_that_a_shop_does_not_replace_stay_ours(tmp_path: Path) -> None:
    renderer = shop(tmp_path, "en/order_delayed.jinja", GOOD)
    assert renderer.render(sample_notice("refunded")) == RENDERER.render(sample_notice("refunded"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace("{{ previous_day }}", "time"), "required element old_date"),
        (GOOD.replace("{{ day }}", "a later day"), "definite date"),
        (GOOD.replace("{{ items }}", "{{ itms }}"), "unknown variable 'itms'"),
        (GOOD.replace("{{ items }}", "{{ f.colour }}"), "unknown fact 'f.colour'"),
        (GOOD.replace("{% endblock %}", ""), "cannot be read"),
        (GOOD.replace("{{ items }}", "{{ date(f.received_on) }}"), "cannot be rendered"),
        (GOOD.replace("Sorry", "Please send it back first"), "forbidden (return first)"),
        (GOOD.replace("Sorry", "It was your mistake"), "forbidden (blame)"),
        (GOOD.replace("Sorry", "This will never happen again"), "forbidden (promise to do better)"),
        (GOOD.replace("Sorry", "It comes in late March"), "forbidden (estimate for a date)"),
        (GOOD.replace("Sorry", "It comes soon"), "forbidden (estimate for a date)"),
        (GOOD.replace("Sorry", "Here is a coupon"), "forbidden (advertising)"),
        (GOOD.replace("Sorry", "Click to unsubscribe"), "forbidden (unsubscribe)"),
    ],
)
def test_a_wrong_template_is_refused_with_its_file_and_its_element(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(InvalidTemplatesError) as refused:
        check(shop(tmp_path, "en/order_delayed.jinja", text))
    assert "en/order_delayed.jinja: " in str(refused.value)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    "phrase",
    [
        "先にご返送ください",
        "お客様の不注意です",
        "再発防止に努めます",
        "3月下旬に発送します",
        "クーポンを差し上げます",
        "配信停止はこちら",
        "山田殿、",
    ],
)
def test_forbidden_japanese_phrases(tmp_path: Path, phrase: str) -> None:
    text = (OURS / "ja/refunded.jinja").read_text(encoding="utf-8").replace("お気づきの点", f"{phrase}。お気づきの点")
    assert any("forbidden" in fault.problem for fault in lint(shop(tmp_path, "ja/refunded.jinja", text)))


@pytest.mark.parametrize("left_out", ["rights", "choice_note", "choose", "seller"])
@pytest.mark.parametrize("layout", ["layout.html", "layout.txt"])
def test_a_layout_that_leaves_out_what_the_law_wants_is_refused(tmp_path: Path, layout: str, left_out: str) -> None:
    ours = (OURS / layout).read_text(encoding="utf-8")
    text = ours.replace("in rights", "in []").replace("{% if rights %}", "{% if false %}")
    text = text if left_out == "rights" else ours.replace("{{ " + left_out + " }}", "")
    assert lint(shop(tmp_path, layout, text)) != []


def test_every_required_element_of_every_law_is_looked_for(tmp_path: Path) -> None:
    """An empty notice lacks all elements, so the linter must report each of them."""
    empty = "{% extends layout %}"
    (tmp_path / "layout.txt").write_text("\n===\n", encoding="utf-8")
    (tmp_path / "layout.html").write_text("", encoding="utf-8")
    renderer = shop(tmp_path, "en/order_accepted.jinja", empty)
    missing = {str(fault).partition("required element ")[2].partition(" of ")[0] for fault in lint(renderer)}
    wanted = {element for law in laws().values() for elements in law.requires.values() for element in elements}
    assert wanted <= missing | {Element.ACCEPTANCE}
    assert Element.ACCEPTANCE in missing


def test_a_service_with_a_wrong_template_does_not_start(tmp_path: Path) -> None:
    shop(tmp_path, "ja/order_delayed.jinja", GOOD.replace("{{ day }}", ""))
    settings = NotifySettings(
        database_url="postgresql://x",
        kafka_bootstrap_servers="127.0.0.1:1",
        smtp_url=SecretStr("discard://"),
        mail_from="shop@example.jp",
        public_url="http://service",
        link_secrets=(SecretStr("a-secret-of-16-chars"),),
        templates_dir=tmp_path,
    )
    with pytest.raises(InvalidTemplatesError, match=r"ja/order_delayed\.jinja: .*definite date"):
        create_app(settings)


@pytest.mark.parametrize(
    "breach",
    [
        "{{ day.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ items['__class__'] }}",
        "{{ f.__class__.__mro__ }}",
        "{{ f.lines[0].__dataclass_fields__ }}",
        "{{ phrases.__init__.__globals__ }}",
        "{{ layout.environment.loader }}",
        "{{ day | attr('__class__') }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ range(10 ** 9) | list }}",
        "{{ '%s' | format(day) }}",
        "{% include '/etc/passwd' %}",
        "{% include '../renderer.py' %}",
        "{% import 'os' as os %}",
    ],
)
def test_a_template_reaches_nothing_but_its_variables(breach: str, tmp_path: Path) -> None:
    renderer = shop(tmp_path, "en/order_delayed.jinja", GOOD.replace("Sorry, and", breach))
    faults = lint(renderer)
    assert faults
    assert all("en/order_delayed.jinja" in str(fault) for fault in faults)
