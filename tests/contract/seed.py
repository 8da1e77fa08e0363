#!/usr/bin/env python3
"""Gives the contract test's mall a little history and writes its ids down.

    seed.py <base url> <folder>

The keys come in OWNER_KEY and TILL_KEY. For each kind of id a file <folder>/<kind>.dict is written,
one quoted value a line, and <folder>/env names what the run may revoke and suspend, and the
tokens of those who apply. Everything is done through the API itself, and can be done again in the same
mall.
"""

import http.cookiejar
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

BASE, FOLDER = sys.argv[1], sys.argv[2]
OWNER, TILL = os.environ["OWNER_KEY"], os.environ["TILL_KEY"]


# The smallest picture there is.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6300010000050001"
    "0d0a2db40000000049454e44ae426082"
)


def ask(key, method, path, body=None):
    """One request, which must succeed; its answer."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None
    if isinstance(body, bytes):
        headers["Content-Type"] = "application/octet-stream"
        data = body
    elif body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")


def write(kind, values):
    with open(os.path.join(FOLDER, f"{kind}.dict"), "w", encoding="utf-8") as file:
        file.writelines(f'"{value}"\n' for value in values)


def listed(path):
    return ask(OWNER, "GET", f"{path}?limit=100")["data"]


def apply(run, name):
    """Begins an application; its token, which is told because the server sends no mail."""
    digest = ask(None, "GET", "/v1/merchant-texts?kind=conditions")["digest"]
    begin = {"email": f"{name}-{run}@lantern.example", "conditions_digest": digest}
    return ask(None, "POST", "/v1/applications", begin)["token"]


def fill_in(run, token):
    """Says everything that an application needs and sends it in; its id, and one of its files."""
    contact = {"name": "Lin Deng", "role": "owner", "email": "lin@lantern.example"}
    form = {
        "company": "Lantern Books",
        "country": "TW",
        "licence_number": run,
        "representative": "Lin Deng",
        "contacts": [contact],
        "categories": ["books"],
        "bank_holder": "Lantern Books",
        "bank_name": "First Bank",
        "goods": "Books",
        "alliance": "both",
        "stores": ["Lantern B2"],
    }
    said = {"form": form, "representative_id": "A123456789", "bank_account": "6222000011112222"}
    ask(token, "PUT", "/v1/application", said)
    for kind in ("licence", "identity"):
        path = f"/v1/application/files?kind={kind}&name=scan.png"
        file = ask(token, "POST", path, PICTURE)["file_id"]
    sent = ask(token, "POST", "/v1/application/submission")
    return sent["application"]["application_id"], file


def come_in(phone):
    """Comes in as a member with that number; the session's token. With --dev a page shows the code."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with browser.open(f"{BASE}/my/sign-in", timeout=30) as page:
        seal = re.search(r'name="seal" value="([0-9a-f]+)"', page.read().decode())[1]
    form = urllib.parse.urlencode({"seal": seal, "phone": phone}).encode()
    browser.open(f"{BASE}/my/sign-in", form, timeout=30).close()
    # The message is a job: on a busy machine it may take its time.
    began = time.monotonic()
    code = None
    while code is None and time.monotonic() < began + 120:
        with browser.open(f"{BASE}/my/sign-in/code", timeout=30) as page:
            code = re.search(r'role="status">[^<]*?([0-9]{6})', page.read().decode())
    if code is None:
        sys.exit("The page at /my/sign-in/code shows no code after two minutes.")
    code = code[1]
    token = next(cookie.value for cookie in jar if cookie.name == "rotunda-dev-member")
    return ask(None, "POST", "/v1/member-sessions", {"token": token, "code": code})["token"]


def main():
    merchants = {one["code"]: one["merchant_id"] for one in listed("/v1/merchants")}
    stores = {one["code"]: one["store_id"] for one in listed("/v1/stores")}
    goods = [one["good_id"] for one in listed("/v1/goods")]
    run = uuid.uuid4().hex[:12]
    members, purchases, redemptions, codes = [], [], [], []
    for number in range(5):
        card = {"card_number": f"C-{run}-{number}"}
        member = ask(TILL, "POST", "/v1/members", card)["member_id"]
        members.append(member)
        for month in (6, 7):
            purchase = {
                "store_id": stores["tea-1f"],
                "receipt_number": f"{run}-{number}-{month}",
                "member_id": member,
                "occurred_at": f"2017-{month:02}-15T04:00:00Z",
                "lines": [{"category": "tea", "quantity": 1, "amount": 1_000_00}],
            }
            purchases.append(ask(TILL, "POST", "/v1/purchases", purchase)["purchase_id"])
        purchase["receipt_number"] = f"{run}-{number}-now"
        del purchase["occurred_at"]
        purchase["lines"][0]["amount"] = 20_000_00
        purchases.append(ask(TILL, "POST", "/v1/purchases", purchase)["purchase_id"])
        spend = {
            "store_id": stores["cinema-4f"],
            "receipt_number": f"{run}-{number}",
            "member_id": member,
            "total": 100_00,
            "points": 1000,
        }
        ask(TILL, "POST", "/v1/spends", spend)
        for _ in range(2):
            wanted = {"good_id": goods[0], "member_id": member}
            made = ask(TILL, "POST", "/v1/redemptions", wanted)
            redemptions.append(made["redemption_id"])
            codes.append(made["code"])
    contact = {"email": "accounts@lantern.example", "language": "zh-CN"}
    ask(OWNER, "PUT", f"/v1/merchants/{merchants['tea']}/contact", contact)
    known = [one["period"] for one in listed("/v1/settlements")]
    if "2017-06" not in known:
        ask(OWNER, "POST", "/v1/settlements", {"period": "2017-06"})
    settlements = [one["settlement_id"] for one in listed("/v1/settlements")]
    statements = [
        one["statement_id"]
        for settlement in settlements
        for one in listed(f"/v1/settlements/{settlement}/statements")
    ]
    goer = ask(TILL, "POST", "/v1/members", {"card_number": f"C-{run}-goer"})["member_id"]
    label = {"label": "decoy", "role": "machine.app"}
    key = ask(OWNER, "POST", "/v1/keys", label)["key_id"]
    application, file = fill_in(run, apply(run, "waits"))
    draft = apply(run, "drafts")
    drafted = ask(draft, "POST", "/v1/application/files?kind=other&name=scan.png", PICTURE)
    write("application", [application])
    write("file", [file, drafted["file_id"]])
    write("member", members)
    write("merchant", [merchants["tea"], merchants["cinema"]])
    write("store", [stores["tea-1f"], stores["cinema-4f"], stores["cinema-kiosk"]])
    write("good", goods)
    write("purchase", purchases)
    write("redemption", redemptions)
    write("code", codes)
    write("settlement", settlements)
    write("statement", statements)
    write("message", [one["message_id"] for one in listed("/v1/messages")])
    write("key", [key])
    with open(os.path.join(FOLDER, "env"), "w", encoding="utf-8") as env:
        env.write(f"export APPLICANT_KEY={draft}\n")
        env.write(f"export WITHDRAWER_KEY={apply(run, 'withdraws')}\n")
        env.write(f"export MEMBER_KEY={come_in('13800138000')}\n")
        env.write(f"export GOER_KEY={come_in('13900139000')}\n")
        env.write(f"export DECOY_KEY={key}\n")
        env.write(f"export DECOY_MEMBER={goer}\n")
        env.write(f"export DECOY_MERCHANT={merchants['decoy']}\n")
        env.write(f"export DECOY_STORE={stores['decoy-1f']}\n")
        env.write(f"MERCHANT={merchants['tea']}\n")


if __name__ == "__main__":
    main()
