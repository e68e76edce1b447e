// Drives the Stripe simulator with Stripe's own Node client, one line a check.
// Usage: node check.mjs <base URL> <webhook secret> [api key]
import assert from "node:assert/strict";
import http from "node:http";
import Stripe from "stripe";

const [base, secret, apiKey = "sk_test_berth"] = process.argv.slice(2);
if (!base || !secret) {
  console.error("usage: node check.mjs <base URL> <webhook secret> [api key]");
  process.exit(2);
}
const { hostname, port } = new URL(base);
const client = (options) =>
  new Stripe(apiKey, { host: hostname, port, protocol: "http", telemetry: false, maxNetworkRetries: 0, ...options });
const stripe = client();

const RECEIVED_WITHIN_MS = 10_000;
const received = [];
const unverified = [];
let failures = 0;

async function check(name, body) {
  try {
    await body();
    console.log(`ok stripe-node: ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED stripe-node: ${name}: ${error.stack ?? error}`);
  }
}

/** The error a call fails with. */
async function refused(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}

async function control(path, body) {
  const response = await fetch(`${base}/_sim/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  assert.ok(response.ok, `/_sim/${path} answered ${response.status}`);
  return response.json();
}

/** The verified event of a type about an object, once it has arrived. */
async function event(type, id) {
  const until = Date.now() + RECEIVED_WITHIN_MS;
  while (Date.now() < until) {
    const found = received.find(({ event }) => event.type === type && event.data.object.id === id);
    if (found) return found.event;
    await new Promise((resume) => setTimeout(resume, 20));
  }
  throw new Error(`no ${type} for ${id} came in time`);
}

const sessionOf = (customer, more = {}) => ({
  mode: "payment",
  customer,
  success_url: "http://127.0.0.1/thanks?session={CHECKOUT_SESSION_ID}",
  cancel_url: "http://127.0.0.1/cart",
  client_reference_id: "ord_1",
  metadata: { order_id: "ord_1" },
  payment_method_types: ["card"],
  payment_intent_data: { setup_future_usage: "off_session", metadata: { order_id: "ord_1" } },
  line_items: [
    { quantity: 2, price_data: { currency: "usd", unit_amount: 1250, product_data: { name: "Plan S" } } },
    { quantity: 1, price_data: { currency: "usd", unit_amount: 499, product_data: { name: "Domain" } } },
  ],
  ...more,
});

const renewal = (customer, more = {}) => ({
  amount: 2999,
  currency: "usd",
  customer,
  off_session: true,
  confirm: true,
  payment_method_types: ["card"],
  metadata: { attempt_id: "att_1" },
  ...more,
});

async function submit(session, fields) {
  return fetch(session.url, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
}

const hook = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const header = request.headers["stripe-signature"];
    try {
      received.push({ event: stripe.webhooks.constructEvent(body, header, secret), body, header });
      response.writeHead(200).end();
    } catch (error) {
      unverified.push(error);
      response.writeHead(400).end();
    }
  });
});
await new Promise((ready) => hook.listen(0, "127.0.0.1", ready));
await control("webhooks", { url: `http://127.0.0.1:${hook.address().port}/hook`, secrets: [secret] });

let customer;
let paid;

await check("a wrong key is a StripeAuthenticationError", async () => {
  const error = await refused(new Stripe("sk_test_wrong", { host: hostname, port, protocol: "http" }).customers.list());
  assert.equal(error.type, "StripeAuthenticationError");
  assert.equal(error.statusCode, 401);
});

await check("a customer is created, updated, retrieved, listed and deleted", async () => {
  customer = await stripe.customers.create({ email: "zoe@example.com", name: "Zoë Buyer", metadata: { berth_customer_id: "cst_1" } });
  assert.match(customer.lastResponse.requestId, /^req_/);
  const updated = await stripe.customers.update(customer.id, { name: "Zoë B.", metadata: { more: "1" } });
  assert.deepEqual(updated.metadata, { berth_customer_id: "cst_1", more: "1" });
  assert.equal((await stripe.customers.retrieve(customer.id)).name, "Zoë B.");
  const gone = await stripe.customers.create({ email: "gone@example.com" });
  assert.equal((await stripe.customers.del(gone.id)).deleted, true);
  assert.equal((await stripe.customers.retrieve(gone.id)).deleted, true);
  const listed = await stripe.customers.list({ email: "zoe@example.com" });
  assert.ok(listed.data.some(({ id }) => id === customer.id));
  assert.deepEqual((await event("customer.updated", customer.id)).data.previous_attributes.name, "Zoë Buyer");
});

await check("an unknown parameter, object and path are Stripe's errors", async () => {
  const unknown = await refused(stripe.customers.create({ colour: "red" }));
  assert.deepEqual([unknown.type, unknown.code, unknown.param], ["StripeInvalidRequestError", "parameter_unknown", "colour"]);
  const missing = await refused(stripe.customers.retrieve("cus_nobody"));
  assert.deepEqual([missing.statusCode, missing.code], [404, "resource_missing"]);
  const path = await refused(stripe.rawRequest("GET", "/v1/nothing_of_this_kind"));
  assert.deepEqual([path.statusCode, path.type], [404, "StripeInvalidRequestError"]);
});

await check("a checkout session is created, expanded and listed with its lines", async () => {
  const session = await stripe.checkout.sessions.create(sessionOf(customer.id, { expand: ["line_items", "customer"] }));
  assert.deepEqual([session.amount_total, session.status, session.payment_status], [2999, "open", "unpaid"]);
  assert.equal(session.line_items.data.length, 2);
  assert.equal(session.customer.email, "zoe@example.com");
  const lines = await stripe.checkout.sessions.listLineItems(session.id, { limit: 1 });
  assert.deepEqual([lines.data[0].amount_total, lines.has_more], [2500, true]);
  const again = await stripe.checkout.sessions.retrieve(session.id);
  assert.equal(again.url, session.url);
});

await check("a session is expired once, and its page no longer takes money", async () => {
  const session = await stripe.checkout.sessions.create(sessionOf(customer.id));
  assert.equal((await stripe.checkout.sessions.expire(session.id)).status, "expired");
  assert.equal((await refused(stripe.checkout.sessions.expire(session.id))).statusCode, 400);
  assert.equal((await submit(session, { action: "pay" })).status, 400);
  await event("checkout.session.expired", session.id);
});

await check("expiry bounds and the least amount are enforced", async () => {
  const soon = Math.floor(Date.now() / 1000) + 60;
  assert.equal((await refused(stripe.checkout.sessions.create(sessionOf(customer.id, { expires_at: soon })))).param, "expires_at");
  const little = [{ quantity: 1, price_data: { currency: "usd", unit_amount: 10, product_data: { name: "Crumb" } } }];
  assert.equal((await refused(stripe.checkout.sessions.create(sessionOf(customer.id, { line_items: little })))).code, "amount_too_small");
});

await check("a buyer is declined, then pays on the hosted page, and the card is kept", async () => {
  const session = await stripe.checkout.sessions.create(sessionOf(customer.id));
  const page = await (await fetch(session.url)).text();
  assert.ok(page.includes("Plan S") && page.includes("2999"));
  assert.equal((await submit(session, { action: "decline" })).status, 402);
  const answer = await submit(session, { action: "pay", card: "pm_card_visa" });
  assert.equal(answer.status, 303);
  assert.ok(answer.headers.get("location").endsWith(`session=${session.id}`));
  const done = await stripe.checkout.sessions.retrieve(session.id, { expand: ["payment_intent.latest_charge"] });
  assert.deepEqual([done.status, done.payment_status], ["complete", "paid"]);
  assert.equal(done.payment_intent.latest_charge.amount, 2999);
  assert.deepEqual(done.payment_intent.metadata, { order_id: "ord_1" });
  const cards = await stripe.customers.listPaymentMethods(customer.id, { type: "card" });
  assert.ok(cards.data.some(({ id }) => id === done.payment_intent.payment_method));
  paid = done.payment_intent;
  assert.equal((await event("checkout.session.completed", session.id)).data.object.payment_status, "paid");
  await event("payment_intent.payment_failed", paid.id);
  await event("payment_intent.succeeded", paid.id);
  await event("charge.succeeded", paid.latest_charge.id);
});

await check("a later payment completes unpaid and succeeds by an event of its own", async () => {
  const session = await stripe.checkout.sessions.create(sessionOf(customer.id));
  assert.equal((await submit(session, { action: "pay_later" })).status, 303);
  assert.equal((await event("checkout.session.completed", session.id)).data.object.payment_status, "unpaid");
  assert.equal((await submit(session, { action: "settle" })).status, 303);
  assert.equal((await event("checkout.session.async_payment_succeeded", session.id)).data.object.payment_status, "paid");
});

await check("a renewal is charged off-session on the kept card", async () => {
  const intent = await stripe.paymentIntents.create(renewal(customer.id, { payment_method: paid.payment_method }));
  assert.deepEqual([intent.status, intent.amount_received], ["succeeded", 2999]);
  const error = await refused(stripe.paymentIntents.confirm(intent.id));
  assert.equal(error.code, "payment_intent_unexpected_state");
  const charges = await stripe.charges.list({ payment_intent: intent.id });
  assert.deepEqual(charges.data.map(({ paid }) => paid), [true]);
});

await check("a decline is a StripeCardError with its codes and its intent", async () => {
  const error = await refused(stripe.paymentIntents.create(renewal(customer.id, { payment_method: "pm_card_chargeDeclinedInsufficientFunds" })));
  assert.deepEqual([error.type, error.statusCode, error.code, error.decline_code], ["StripeCardError", 402, "card_declined", "insufficient_funds"]);
  assert.equal(error.payment_intent.status, "requires_payment_method");
  const again = await stripe.paymentIntents.confirm(error.payment_intent.id, { payment_method: paid.payment_method, off_session: true });
  assert.equal(again.status, "succeeded");
  await event("payment_intent.payment_failed", again.id);
});

await check("authentication off-session is a 402, on-session an action", async () => {
  const card = "pm_card_authenticationRequired";
  const error = await refused(stripe.paymentIntents.create(renewal(customer.id, { payment_method: card })));
  assert.deepEqual([error.statusCode, error.code], [402, "authentication_required"]);
  const asked = await stripe.paymentIntents.create(renewal(customer.id, { payment_method: card, off_session: false }));
  assert.equal(asked.status, "requires_action");
  assert.equal((await stripe.paymentIntents.cancel(asked.id)).status, "canceled");
});

await check("the same key is replayed, 402 included, and another body is refused", async () => {
  const key = { idempotencyKey: `node-${Date.now()}` };
  const first = await stripe.paymentIntents.create(renewal(customer.id, { payment_method: paid.payment_method }), key);
  const second = await stripe.paymentIntents.create(renewal(customer.id, { payment_method: paid.payment_method }), key);
  assert.equal(second.id, first.id);
  assert.equal(second.lastResponse.headers["idempotent-replayed"], "true");
  const error = await refused(stripe.paymentIntents.create(renewal(customer.id, { amount: 1, payment_method: paid.payment_method }), key));
  assert.deepEqual([error.type, error.statusCode], ["StripeIdempotencyError", 400]);
  const declined = { idempotencyKey: `${key.idempotencyKey}-declined` };
  const decline = () => refused(stripe.paymentIntents.create(renewal(customer.id, { payment_method: "pm_card_chargeDeclined" }), declined));
  assert.equal((await decline()).payment_intent.id, (await decline()).payment_intent.id);
});

await check("a key in flight is a 409", async () => {
  const fault = { kind: "slow", delay_milliseconds: 400 };
  await control("faults", { faults: [{ on: "response", path_prefix: "/v1/customers", method: "POST", fault }] });
  const key = { idempotencyKey: `node-flight-${Date.now()}` };
  const slow = stripe.customers.create({ email: "slow@example.com" }, key);
  await new Promise((resume) => setTimeout(resume, 100));
  const error = await refused(stripe.customers.create({ email: "slow@example.com" }, key));
  assert.deepEqual([error.statusCode, error.code], [409, "idempotency_key_in_use"]);
  await slow;
});

await check("the client's own retries after a lost answer, a 429 and a 502 move money once", async () => {
  const faults = [
    { kind: "timeout_after_commit", hold_milliseconds: 2_000 },
    { kind: "rate_limited", should_retry: true },
    { kind: "bad_gateway", committed: true },
  ];
  for (const fault of faults) {
    await control("faults", { faults: [{ on: "response", path_prefix: "/v1/payment_intents", method: "POST", fault }] });
    const before = (await control("records")).charges.length;
    const patient = client({ maxNetworkRetries: 3, timeout: 500 });
    const intent = await patient.paymentIntents.create(renewal(customer.id, { payment_method: paid.payment_method }));
    assert.equal(intent.status, "succeeded");
    assert.equal((await control("records")).charges.length, before + 1, fault.kind);
  }
});

await check("an answer cut mid-body is an error, and its key then tells what happened", async () => {
  await control("faults", { faults: [{ on: "response", path_prefix: "/v1/payment_intents", method: "POST", fault: { kind: "cut_mid_body" } }] });
  const before = (await control("records")).charges.length;
  const key = { idempotencyKey: `node-cut-${Date.now()}` };
  const charge = () => stripe.paymentIntents.create(renewal(customer.id, { payment_method: paid.payment_method }), key);
  assert.equal((await refused(charge())).type, "StripeConnectionError");
  assert.equal((await charge()).status, "succeeded");
  assert.equal((await control("records")).charges.length, before + 1);
});

await check("refunds add up to the charge and never beyond", async () => {
  const part = await stripe.refunds.create({ payment_intent: paid.id, amount: 1000, metadata: { refund_id: "ref_1" } });
  assert.equal(part.status, "succeeded");
  const over = await refused(stripe.refunds.create({ payment_intent: paid.id, amount: 2000 }));
  assert.deepEqual([over.statusCode, over.param], [400, "amount"]);
  const rest = await stripe.refunds.create({ charge: paid.latest_charge.id });
  assert.equal(rest.amount, 1999);
  assert.equal((await refused(stripe.refunds.create({ charge: paid.latest_charge.id }))).code, "charge_already_refunded");
  assert.equal((await stripe.refunds.list({ charge: paid.latest_charge.id })).data.length, 2);
  assert.equal((await stripe.charges.retrieve(paid.latest_charge.id)).refunded, true);
  await event("refund.created", rest.id);
  await event("charge.refunded", paid.latest_charge.id);
});

await check("events are listed page by page, by type and by time", async () => {
  const all = [];
  for await (const listed of stripe.events.list({ limit: 3, created: { gte: customer.created } })) all.push(listed);
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
  assert.ok(all.length > 30);
  const types = ["refund.created", "charge.refunded"];
  const some = await stripe.events.list({ types, limit: 100 });
  assert.ok(some.data.length >= 4 && some.data.every(({ type }) => types.includes(type)));
  const first = await stripe.events.list({ limit: 2 });
  const before = await stripe.events.list({ limit: 100, ending_before: first.data[1].id });
  assert.deepEqual(before.data.map(({ id }) => id), [first.data[0].id]);
  assert.equal((await stripe.events.retrieve(all[0].id)).id, all[0].id);
});

await check("every webhook verifies, and a tampered one does not", async () => {
  assert.deepEqual(unverified, []);
  assert.ok(received.length > 30);
  const { body, header } = received[0];
  const tampered = Buffer.concat([body, Buffer.from(" ")]);
  assert.throws(() => stripe.webhooks.constructEvent(tampered, header, secret), { type: "StripeSignatureVerificationError" });
  assert.throws(() => stripe.webhooks.constructEvent(body, header, `${secret}x`), { type: "StripeSignatureVerificationError" });
});

hook.close();
hook.closeAllConnections();
console.log(failures === 0 ? "stripe-node: all checks passed" : `stripe-node: ${failures} checks failed`);
process.exit(failures === 0 ? 0 : 1);
