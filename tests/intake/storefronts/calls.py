"""Signed webhooks as storefronts send them, and the JSON of a Shopify shop."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from tests.running import Live

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret of last year....").decode()
SHOPIFY_SECRET = "hush-hush-hush-hush"
SETTINGS = {"webhook_secrets": f"{SECRET},{OLD_SECRET}", "shopify_secrets": f"{SHOPIFY_SECRET},another-secret-of-it"}


def signed(body: bytes, at: datetime, *, id: str = "msg_1", secret: str = SECRET) -> dict[str, str]:
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, at, body.decode()),
        "content-type": "application/json",
    }


async def standard(live: Live, type_: str, data: Any, **headers: Any) -> httpx.Response:
    now = live.service.clock.now()
    body = json.dumps({"type": type_, "timestamp": now.isoformat(), "data": data}, ensure_ascii=False).encode()
    return await live.client.post("/v1/webhooks/standard", content=body, headers=signed(body, now, **headers))


def by_shopify(body: bytes, topic: str, secret: str = SHOPIFY_SECRET) -> dict[str, str]:
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {"X-Shopify-Topic": topic, "X-Shopify-Hmac-Sha256": signature, "content-type": "application/json"}


async def shopify(live: Live, topic: str, data: Any, secret: str = SHOPIFY_SECRET) -> httpx.Response:
    body = json.dumps(data, ensure_ascii=False).encode()
    return await live.client.post("/v1/webhooks/shopify", content=body, headers=by_shopify(body, topic, secret))


def shop_order(**fields: Any) -> dict[str, Any]:
    """`orders/create`: two teapots and a gift card."""
    return {
        "id": 820982911946154508,
        "name": "#1001",
        "email": "hanako@example.jp",
        "created_at": "2026-03-08T10:00:00+09:00",
        "processed_at": "2026-03-08T10:00:05+09:00",
        "currency": "JPY",
        "customer_locale": "ja-JP",
        "customer": {"id": 115310627314723954, "first_name": "花子", "last_name": "山田", "orders_count": 3},
        "shipping_address": {
            "first_name": "花子",
            "last_name": "山田",
            "name": "山田 花子",
            "address1": "神宮前1-2-3",
            "address2": "メゾン原宿 201",
            "city": "渋谷区",
            "province": "東京都",
            "zip": "150-0001",
            "country_code": "JP",
            "phone": "+81-3-0000-0000",
        },
        "line_items": [
            {
                "id": 866550311766439020,
                "variant_id": 808950810,
                "sku": "KYUSU-1",
                "name": "南部鉄器 急須",
                "quantity": 2,
                "price": "4980",
                "price_set": {"shop_money": {"amount": "4980", "currency_code": "JPY"}},
                "requires_shipping": True,
            },
            {"id": 1, "name": "Gift card", "quantity": 1, "price": "1000", "requires_shipping": False},
        ],
        **fields,
    }


def shop_fulfillment(**fields: Any) -> dict[str, Any]:
    return {
        "id": 123456,
        "order_id": 820982911946154508,
        "status": "success",
        "created_at": "2026-03-09T12:00:00+09:00",
        "updated_at": "2026-03-10T15:00:00+09:00",
        "tracking_company": "Yamato",
        "tracking_number": "4000-1111-2222",
        "shipment_status": None,
        "line_items": [{"id": 866550311766439020, "quantity": 2, "requires_shipping": True}],
        **fields,
    }


def shop_return(**fields: Any) -> dict[str, Any]:
    item = {"line_item": {"id": 866550311766439020}}
    return {
        "id": 555,
        "name": "#1001-R1",
        "status": "requested",
        "order": {"id": 820982911946154508},
        "return_line_items": [
            {"id": 1, "fulfillment_line_item": item, "quantity": 1, "return_reason": "defective",
             "customer_note": "The handle came off"},
            {"id": 2, "fulfillment_line_item": item, "quantity": 1, "return_reason": "unwanted"},
        ],
        **fields,
    }  # fmt: skip
