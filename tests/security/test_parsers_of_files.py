"""Parsers of files, photos and mails return a value or raise their documented error, and nothing else."""

import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from deploy.demo.data import olist
from deploy.demo.data.csv_table import OrderFileError
from libs.common.events.values import RawStatus
from services.delivery_notify.channels.bounce_reports import InvalidMailReportError, notice_id_of, parse_reports
from services.intake.evidence import decoder
from services.loyalty.settings import parse_rules
from services.returns.policy.carrier_statuses import translate_status
from services.returns.policy.policy_loader import parse_policy
from services.returns.policy.policy_versions import PolicyError
from tests.examples import examples
from tests.security.broken_input import ROOT, broken, calm, only


@calm
@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=80), st.none() | st.text(max_size=80))
def test_a_carriers_word_means_something_or_nothing(source: str, code: str, detail: str | None) -> None:
    raw = RawStatus.model_construct(source=source, code=code, detail=detail)
    only(lambda: translate_status(raw))


def a_picture(form: str) -> bytes:
    file = io.BytesIO()
    picture = Image.new("RGB", (40, 30), "red")
    exif = picture.getexif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    picture.save(file, form, exif=exif)
    return file.getvalue()


pictures = st.sampled_from([a_picture("JPEG"), a_picture("PNG"), a_picture("WEBP")])


@settings(calm, max_examples=examples(300))
@given(
    broken(pictures) | st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: a_picture("PNG")[:33] + rest)
)
@example(b"")
@example(b"\xff\xd8\xff\xe1\xff\xffExif\x00\x00MM\x00*")
def test_a_photo_is_prepared_or_refused_by_name(content: bytes) -> None:
    only(lambda: decoder.decode(content), decoder.RefusedError)


BOUNCE = b"""From: MAILER-DAEMON@mx.example
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; hanako@example.jp
Action: failed
Status: 5.1.1
--b
Content-Type: message/rfc822

Message-ID: <6c1e9d3e-6ae4-4a53-b6c2-8f8f8d3d2a11@shop.example>
Subject: =?utf-8?b?5L6L?=

text
--b--
"""
COMPLAINT = BOUNCE.replace(b"delivery-status", b"feedback-report").replace(b"Action: failed", b"Feedback-Type: abuse")


@settings(calm, max_examples=examples(500))
@given(broken(st.sampled_from([BOUNCE, COMPLAINT])) | st.binary(max_size=500))
@example(b'Content-Type: multipart/report; boundary=""\n\n')
@example(b"Content-Type: " + b"multipart/mixed; boundary=b\n\n--b\nContent-Type: " * 500)
@example(BOUNCE.replace(b"message/delivery-status", b"message/feedback-report; charset=\xff\xfe"))
def test_a_returned_mail_is_a_report_or_is_not(raw: bytes) -> None:
    only(lambda: parse_reports(raw), InvalidMailReportError)


@pytest.mark.parametrize("name", [b"To", b"Content-Type", b"Content-Disposition", b"Message-ID"])
@pytest.mark.parametrize(
    "value", [b"(" * 9_000, b'"' * 9_000, b"<" * 9_000, b"a," * 5_000, b"text/plain;" + b"a*0*=x;" * 1_500]
)
def test_a_header_that_is_made_to_be_hard_to_read_costs_no_time(name: bytes, value: bytes) -> None:
    hard = name + b": " + value + b"\n"
    only(lambda: parse_reports(hard + BOUNCE), InvalidMailReportError)
    only(lambda: parse_reports(BOUNCE.replace(b"Action", hard + b"Action").replace(b"Subject", hard + b"Subject")))


def test_mails_in_mails_in_mails_are_no_report() -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1_000))
    only(lambda: parse_reports(nested + BOUNCE), InvalidMailReportError)
    only(lambda: parse_reports(b"Content-Type: message/rfc822\n\n" * 2_000), InvalidMailReportError)


@calm
@given(st.text(max_size=100))
def test_a_message_id_names_a_notice_or_none(text: str) -> None:
    only(lambda: notice_id_of(text))


POLICY = (ROOT / "services/returns/policy/policy.toml").read_bytes()
AWARD = (ROOT / "services/loyalty/policy/award.toml").read_bytes()


@calm
@given(broken(st.just(POLICY)) | st.binary(max_size=200))
@example(b"a=" + b"[" * 20_000)
def test_a_policy_is_right_or_refused_by_name(text: bytes) -> None:
    only(lambda: parse_policy(text.decode(errors="replace")), PolicyError)


@calm
@given(broken(st.just(AWARD)) | st.binary(max_size=200))
@example(b"a=" + b"[" * 20_000)
def test_award_rules_are_right_or_refused_by_name(text: bytes) -> None:
    only(lambda: parse_rules(text.decode(errors="replace")), ValueError)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("olist")


ITEMS = (
    b'"order_id","order_item_id","product_id","shipping_limit_date","price"\n'
    b'"o1","1","p1","2018-01-05 10:00:00","10.50"\n'
)
CUSTOMERS = (
    b'"customer_id","customer_unique_id","customer_zip_code_prefix","customer_city","customer_state"\n'
    b'"c1","u1","1","x","SP"\n'
)
ORDERS = (
    b'"order_id","customer_id","order_status","order_purchase_timestamp","order_delivered_carrier_date",'
    b'"order_delivered_customer_date","order_estimated_delivery_date"\n'
    b'"o1","c1","delivered","2018-01-01 10:00:00","2018-01-03 10:00:00","2018-01-09 10:00:00","2018-01-20 00:00:00"\n'
)


@calm
@given(which=st.sampled_from(["orders.csv", "order_items.csv", "customers.csv"]), data=st.data())
def test_a_folder_of_orders_is_read_or_the_row_is_named(which: str, data: st.DataObject, folder: Path) -> None:
    files = {"orders.csv": ORDERS, "order_items.csv": ITEMS, "customers.csv": CUSTOMERS}
    files[which] = data.draw(broken(st.just(files[which])))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    only(lambda: olist.read(folder), OrderFileError)
