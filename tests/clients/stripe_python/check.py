"""Drives the Stripe simulator with Stripe's own Python client, one line a check.

Usage: python check.py <base URL> <webhook secret> [api key]
"""

import json
import sys
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe

RECEIVED_WITHIN_SECONDS = 10

if len(sys.argv) < 3:
    sys.exit("usage: python check.py <base URL> <webhook secret> [api key]")
BASE, SECRET = sys.argv[1], sys.argv[2]
API_KEY = sys.argv[3] if len(sys.argv) > 3 else "sk_test_berth"

stripe.enable_telemetry = False
client = stripe.StripeClient(API_KEY, base_addresses={"api": BASE}, max_network_retries=0).v1
received, unverified, failures = [], [], []


class Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        header = self.headers["stripe-signature"]
        try:
            event = stripe.Webhook.construct_event(body, header, SECRET)
            received.append((event, body, header))
            status = 200
        except Exception as error:  # a check below shows it
            unverified.append(error)
            status = 400
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


def post(url, data, content_type):
    request = urllib.request.Request(url, data=data, headers={"content-type": content_type})
    try:
        return opener.open(request, timeout=10)
    except urllib.error.HTTPError as error:
        return error


def control(path, body=None):
    if body is None:
        return json.load(opener.open(f"{BASE}/_sim/{path}", timeout=10))
    answer = post(f"{BASE}/_sim/{path}", json.dumps(body).encode(), "application/json")
    assert answer.status == 200, (path, answer.status, answer.read())
    return json.load(answer)


def submit(session, **fields):
    return post(session.url, urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded")


def event(kind, object_id):
    until = time.monotonic() + RECEIVED_WITHIN_SECONDS
    while time.monotonic() < until:
        for found, _body, _header in list(received):
            if found.type == kind and found.data.object.id == object_id:
                return found
        time.sleep(0.02)
    raise AssertionError(f"no {kind} for {object_id} came in time")


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def check(name):
    def run(body):
        try:
            body()
            print(f"ok stripe-python: {name}", flush=True)
        except Exception:
            failures.append(name)
            print(f"FAILED stripe-python: {name}\n{traceback.format_exc()}", flush=True)
        return body

    return run


def session_of(customer, **more):
    return {
        "mode": "payment",
        "customer": customer,
        "success_url": "http://127.0.0.1/thanks?session={CHECKOUT_SESSION_ID}",
        "client_reference_id": "ord_2",
        "metadata": {"order_id": "ord_2"},
        "payment_intent_data": {"setup_future_usage": "off_session", "metadata": {"order_id": "ord_2"}},
        "line_items": [
            {"quantity": 3, "price_data": {"currency": "eur", "unit_amount": 700, "product_data": {"name": "Plan M"}}}
        ],
        **more,
    }


def renewal(customer, method, **more):
    return {
        "amount": 2100,
        "currency": "eur",
        "customer": customer,
        "payment_method": method,
        "payment_method_types": ["card"],
        "off_session": True,
        "confirm": True,
        **more,
    }


server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
control("webhooks", {"url": f"http://127.0.0.1:{server.server_port}/hook", "secrets": [SECRET]})
kept = {}


@check("a customer is created, updated, retrieved and deleted")
def _():
    kept["customer"] = client.customers.create({"email": "ada@example.com", "metadata": {"a": "1"}})
    customer = kept["customer"].id
    assert client.customers.update(customer, {"metadata": {"a": "", "b": "2"}}).metadata.to_dict() == {"b": "2"}
    assert client.customers.retrieve(customer).email == "ada@example.com"
    gone = client.customers.create({"email": "gone@example.com"}).id
    assert client.customers.delete(gone).deleted
    event("customer.deleted", gone)


@check("errors are the client's own kinds")
def _():
    error = refused(stripe.InvalidRequestError, lambda: client.customers.create({"colour": "red"}))
    assert (error.code, error.param, error.http_status) == ("parameter_unknown", "colour", 400)
    assert error.request_id.startswith("req_")
    error = refused(stripe.InvalidRequestError, lambda: client.charges.retrieve("ch_none"))
    assert (error.code, error.http_status) == ("resource_missing", 404)
    wrong = stripe.StripeClient("sk_test_wrong", base_addresses={"api": BASE}, max_network_retries=0).v1
    refused(stripe.AuthenticationError, lambda: wrong.customers.list())


@check("a session is created, retrieved and expired")
def _():
    session = client.checkout.sessions.create(session_of(kept["customer"].id, expand=["line_items"]))
    assert (session.amount_total, session.line_items.data[0].quantity) == (2100, 3)
    assert client.checkout.sessions.retrieve(session.id).status == "open"
    assert client.checkout.sessions.expire(session.id).status == "expired"
    refused(stripe.InvalidRequestError, lambda: client.checkout.sessions.expire(session.id))
    event("checkout.session.expired", session.id)


@check("a buyer pays on the hosted page")
def _():
    session = client.checkout.sessions.create(session_of(kept["customer"].id))
    assert submit(session, action="decline").status == 402
    answer = submit(session, action="pay")
    assert answer.status == 303 and answer.headers["location"].endswith(session.id)
    done = client.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (done.status, done.payment_status) == ("complete", "paid")
    kept["intent"] = done.payment_intent
    assert event("checkout.session.completed", session.id).data.object.amount_total == 2100
    event("payment_intent.succeeded", done.payment_intent.id)


@check("off-session: paid, declined, authentication required")
def _():
    customer, method = kept["customer"].id, kept["intent"].payment_method
    assert client.payment_intents.create(renewal(customer, method)).status == "succeeded"
    error = refused(stripe.CardError, lambda: client.payment_intents.create(renewal(customer, "pm_card_chargeDeclinedStolenCard")))
    assert (error.code, error.error.decline_code) == ("card_declined", "stolen_card")
    assert error.error.payment_intent.status == "requires_payment_method"
    error = refused(stripe.CardError, lambda: client.payment_intents.create(renewal(customer, "pm_card_authenticationRequired")))
    assert error.code == "authentication_required"
    processing = client.payment_intents.create(renewal(customer, "pm_card_processing"))
    assert processing.status == "processing"
    control(f"payment_intents/{processing.id}/settle", {"result": "succeed"})
    assert client.payment_intents.retrieve(processing.id).status == "succeeded"


@check("a key is replayed, kept from another body, and refused in flight")
def _():
    customer, method = kept["customer"].id, kept["intent"].payment_method
    options = {"idempotency_key": f"python-{time.time_ns()}"}
    first = client.payment_intents.create(renewal(customer, method), options)
    second = client.payment_intents.create(renewal(customer, method), options)
    assert first.id == second.id
    assert second.last_response.headers["idempotent-replayed"] == "true"
    refused(stripe.IdempotencyError, lambda: client.payment_intents.create(renewal(customer, method, amount=5000), options))
    fault = {"kind": "slow", "delay_milliseconds": 400}
    control("faults", {"faults": [{"on": "response", "path_prefix": "/v1/customers", "method": "POST", "fault": fault}]})
    options = {"idempotency_key": f"python-flight-{time.time_ns()}"}
    slow = threading.Thread(target=lambda: client.customers.create({"email": "slow@example.com"}, options))
    slow.start()
    time.sleep(0.1)
    error = refused(stripe.StripeError, lambda: client.customers.create({"email": "slow@example.com"}, options))
    assert (error.http_status, error.json_body["error"]["code"]) == (409, "idempotency_key_in_use")
    slow.join()


@check("refunds: part, too much, rest, none left, failed later")
def _():
    intent = kept["intent"].id
    part = client.refunds.create({"payment_intent": intent, "amount": 100})
    error = refused(stripe.InvalidRequestError, lambda: client.refunds.create({"payment_intent": intent, "amount": 2001}))
    assert error.param == "amount"
    assert client.refunds.create({"payment_intent": intent}).amount == 2000
    error = refused(stripe.InvalidRequestError, lambda: client.refunds.create({"payment_intent": intent}))
    assert error.code == "charge_already_refunded"
    control(f"refunds/{part.id}", {"result": "fail"})
    assert client.refunds.retrieve(part.id).status == "failed"
    event("refund.failed", part.id)


@check("events are listed page by page and by type")
def _():
    seen = [listed.id for listed in client.events.list({"limit": 3}).auto_paging_iter()]
    assert len(seen) == len(set(seen)) and len(seen) > 20
    types = ["refund.created", "refund.failed"]
    some = client.events.list({"types": types, "limit": 100})
    assert some.data and all(listed.type in types for listed in some.data)
    assert client.events.retrieve(seen[0]).id == seen[0]


@check("every webhook verifies, and a tampered one does not")
def _():
    assert not unverified, unverified
    assert len(received) > 20
    _event, body, header = received[0]
    refused(stripe.SignatureVerificationError, lambda: stripe.Webhook.construct_event(body + b" ", header, SECRET))
    refused(stripe.SignatureVerificationError, lambda: stripe.Webhook.construct_event(body, header, SECRET + "x"))


server.shutdown()
print(f"stripe-python: {len(failures)} checks failed" if failures else "stripe-python: all checks passed")
sys.exit(1 if failures else 0)
