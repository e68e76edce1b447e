// Pages that say `data-live` are read again every few seconds while somebody looks at them, and nothing on them is in use.
"use strict";
const EVERY = 5000;
const main = document.querySelector("main[data-live]");

function inUse() {
  const focused = document.activeElement;
  const types = focused && main.contains(focused) && focused.matches("input, select, textarea, button, summary");
  const selects = String(document.getSelection()) !== "";
  return types || selects || main.querySelector("details[open]") !== null;
}

async function refresh() {
  if (document.hidden || inUse()) return;
  const answer = await fetch(location.href, { headers: { "X-Berth-Live": "1" }, redirect: "manual" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const news = page.querySelector("main[data-live]");
  if (news && !inUse() && news.innerHTML !== main.innerHTML) main.replaceChildren(...news.childNodes);
}

if (main) {
  document.querySelector(".live-note")?.removeAttribute("hidden");
  setInterval(() => refresh().catch(() => {}), EVERY);
}
