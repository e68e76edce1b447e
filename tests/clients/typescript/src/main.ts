// Buys a hosting account as a shop's front end would, with a client whose types are generated from /openapi.json.
// Usage: node built/src/main.js <Berth's address> <a customer's token>

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

import createClient from "openapi-fetch";

import type { components, paths } from "../generated/berth.js";

type Schemas = components["schemas"];

const [baseUrl, token] = process.argv.slice(2);
assert.ok(baseUrl && token, "usage: main.js <Berth's address> <a customer's token>");

const berth = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

/** So often a moment is waited for what happens by itself. */
const PATIENCE = 300;

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What was answered; a problem ends the program with its sentence. */
function must<T>(what: string, { data, error, response }: Answer<T>): NonNullable<T> {
  assert.ok(response.ok && data != null, `${what}: ${response.status} ${JSON.stringify(error)}`);
  return data;
}

/** The problem's type with which something was refused. */
function refused(what: string, { error, response }: Answer<unknown>): string {
  assert.ok(!response.ok, `${what} was not refused`);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const problem = error as unknown as { type: string };
  return problem.type.replace("https://berth.dev/problems/", "");
}

async function introduceMyself(): Promise<void> {
  const address = { line1: "Am Hafen 1", city: "Hamburg", postal_code: "20457" };
  const wrong = await berth.PUT("/v1/me", { body: { name: "Zoë", country: "XX" } });
  assert.equal(refused("a country that is none", wrong), "profile-invalid");
  const kept = must("my profile", await berth.PUT("/v1/me", { body: { name: "Zoë Client", country: "de", address } }));
  assert.deepEqual([kept.name, kept.country, kept.address?.city], ["Zoë Client", "DE", "Hamburg"]);
  assert.deepEqual(must("my profile", await berth.GET("/v1/me")), kept);
}

/** The cheapest plan in the shop window. */
async function choosePlan(): Promise<Schemas["PlanJson"]> {
  const plans = must("the plans", await berth.GET("/v1/plans"));
  const price = (plan: Schemas["PlanJson"]) => Number(plan.prices[plans.currency] ?? Infinity);
  const [cheapest] = plans.data.toSorted((one, other) => price(one) - price(other));
  assert.ok(cheapest && price(cheapest) > 0, "something is sold");
  return cheapest;
}

async function fillCart(service_id: string): Promise<Schemas["CartJson"]> {
  must("my cart", await berth.POST("/v1/cart/items", { body: { service_id, quantity: 2 } }));
  const filled = must("my cart", await berth.GET("/v1/cart"));
  const [item] = filled.items;
  assert.ok(item && filled.items.length === 1 && item.quantity === 2);
  const coupon = await berth.PUT("/v1/cart/coupon", { body: { code: "NO-SUCH-CODE" } });
  assert.equal(refused("a coupon that is none", coupon), "coupon-invalid");
  const header = { "If-Match": `"${filled.version}"` };
  const params = { path: { id: item.id }, header };
  const changed = must("my cart", await berth.PATCH("/v1/cart/items/{id}", { params, body: { quantity: 1 } }));
  const late = await berth.PATCH("/v1/cart/items/{id}", { params, body: { quantity: 3 } });
  assert.equal(refused("a change of what was read before", late), "cart-changed");
  assert.deepEqual([changed.items[0]?.quantity, changed.total], [1, item.unit_price]);
  assert.deepEqual(changed.problems, []);
  return changed;
}

async function checkOut(cart: Schemas["CartJson"]): Promise<Schemas["CheckoutAnswer"]> {
  const header = { "Idempotency-Key": randomUUID() };
  const body = { cart_version: cart.version };
  const agreed = must("a checkout", await berth.POST("/v1/checkout", { params: { header }, body }));
  const again = must("the same one", await berth.POST("/v1/checkout", { params: { header }, body }));
  assert.deepEqual([again.order_id, agreed.status], [agreed.order_id, "pending"]);
  const unknown = await berth.POST("/v1/checkout", { body: { items: [{ service_id: "nothing-of-the-kind" }] } });
  assert.equal(refused("what is not sold", unknown), "service-not-sold");
  return agreed;
}

/** Pays on the page, as a browser would. */
async function pay(page: string): Promise<void> {
  const form = new URLSearchParams({ action: "pay", card: "pm_card_visa" });
  const answer = await fetch(page, { method: "POST", body: form, redirect: "manual" });
  assert.equal(answer.status, 303);
}

async function untilCompleted(id: string): Promise<Schemas["OrderJson"]> {
  for (let tries = 0; tries < PATIENCE; tries += 1) {
    const order = must("my order", await berth.GET("/v1/orders/{id}", { params: { path: { id } } }));
    if (order.status === "completed") {
      return order;
    }
    await pause(100);
  }
  throw new Error(`order ${id} was not completed in time`);
}

async function lookAtWhatIBought(order: Schemas["OrderJson"]): Promise<void> {
  const orders = must("my orders", await berth.GET("/v1/orders", { params: { query: { status: "completed", limit: 1 } } }));
  assert.deepEqual([orders.data[0]?.id, orders.has_more], [order.id, false]);
  const hosting = must("my hosting", await berth.GET("/v1/hosting"));
  const account = hosting.data[0];
  assert.ok(account?.account_username && account.order_id === order.id);
  const path = { id: account.id };
  const revealed = must("my password", await berth.POST("/v1/hosting/{id}/reveal", { params: { path } }));
  assert.equal(revealed.username, account.account_username);
  const twice = await berth.POST("/v1/hosting/{id}/reveal", { params: { path } });
  assert.equal(refused("a second look at the password", twice), "password-not-available");
}

async function lookAtTheInvoice(order: Schemas["OrderJson"]): Promise<void> {
  const params = { path: { id: order.id } };
  const headers = { Accept: "application/json" };
  const invoice = must("my invoice", await berth.GET("/v1/orders/{id}/invoice", { params, headers }));
  assert.ok(typeof invoice !== "string");
  assert.equal(invoice.total, order.total);
  const page = await berth.GET("/v1/orders/{id}/invoice", { params, parseAs: "text" });
  assert.ok(must("my invoice", page).includes(invoice.number));
}

await introduceMyself();
const plan = await choosePlan();
const cart = await fillCart(plan.service_id);
const agreed = await checkOut(cart);
assert.ok(agreed.checkout_url, "there is something to pay");
await pay(agreed.checkout_url);
const order = await untilCompleted(agreed.order_id);
assert.equal(order.total, cart.total);
assert.deepEqual(must("my cart", await berth.GET("/v1/cart")).items, []);
await lookAtWhatIBought(order);
await lookAtTheInvoice(order);
assert.equal(refused("to be forgotten", await berth.DELETE("/v1/me")), "customer-busy");
console.log(`typescript: order ${order.id} was bought, delivered and invoiced`);
