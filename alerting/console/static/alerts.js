// The alerts as they come, and what an operator does with them.

import { post } from "./api.js";
import { age, clockTime, element, sentence } from "./format.js";

const RETRY_MS = 3000;
const KEPT_CLOSED = 10;
const ORDER = { raised: 0, acknowledged: 1, verified: 1, dispatched: 2, shelved: 3, closed: 4 };
const PRIORITIES = { high: 0, medium: 1, low: 2 };

export class Alerts {
  constructor({ root, count, link, announcer, purpose, ask, watch, clip, label }) {
    Object.assign(this, { root, count, link, announcer, purpose, ask, watch, clip, label });
    this.alerts = new Map();
    this.cards = new Map();
    this.complete = false;
    setInterval(() => this.tick(), 1000);
  }

  follow() {
    const source = new EventSource(`/api/alerts/stream?purpose=${encodeURIComponent(this.purpose)}`);
    source.addEventListener("open", () => this.say("live", "Live"));
    source.addEventListener("alert", (event) => this.take(JSON.parse(event.data)));
    source.addEventListener("bookmark", () => {
      this.complete = true;
      this.say("live", "Live");
      this.render();
    });
    source.addEventListener("signed-out", () => location.reload());
    source.addEventListener("broken", () => this.restart(source));
    source.addEventListener("error", () => {
      this.say("lost", "Alerts interrupted");
      if (source.readyState === EventSource.CLOSED) this.restart(source);
    });
  }

  restart(source) {
    // From the start: what was open is told again, so nothing that happened meanwhile is missed.
    source.close();
    this.say("lost", "Alerts interrupted");
    setTimeout(() => {
      this.complete = false;
      this.alerts.clear();
      this.follow();
    }, RETRY_MS);
  }

  say(state, words) {
    this.link.dataset.state = state;
    this.link.textContent = words;
  }

  take(alert) {
    const isNew = !this.alerts.has(alert.name);
    this.alerts.set(alert.name, alert);
    if (!this.complete) return;
    if (isNew && alert.state === "raised") this.announcer.textContent = `${alert.priority} priority: ${alert.summary}`;
    this.render(alert.name);
  }

  sorted() {
    const all = [...this.alerts.values()].sort((a, b) =>
      (ORDER[a.state] - ORDER[b.state])
      || (a.state === "raised" ? PRIORITIES[a.priority] - PRIORITIES[b.priority] : 0)
      || b.createTime.localeCompare(a.createTime));
    const closed = all.filter((alert) => alert.state === "closed");
    for (const alert of closed.slice(KEPT_CLOSED)) this.alerts.delete(alert.name);
    return all.filter((alert) => this.alerts.has(alert.name));
  }

  render(changed = null) {
    const shown = this.sorted();
    const open = shown.filter((alert) => alert.state !== "closed");
    const raised = open.filter((alert) => alert.state === "raised").length;
    this.count.textContent = `${open.length} (${raised} new)`;
    document.title = raised ? `(${raised}) ARGO control room` : "ARGO control room";
    const focused = document.activeElement?.dataset?.action;
    for (const alert of shown) {
      const known = this.cards.get(alert.name);
      if (known?.etag !== alert.etag) this.cards.set(alert.name, { etag: alert.etag, node: this.card(alert) });
    }
    for (const name of this.cards.keys()) if (!this.alerts.has(name)) this.cards.delete(name);
    const nodes = shown.map((alert) => this.cards.get(alert.name).node);
    if (nodes.length === 0) nodes.push(element("li", { className: "empty" }, "No alert is open."));
    this.root.replaceChildren(...nodes);
    if (changed && focused) this.root.querySelector(`[data-action="${CSS.escape(focused)}"]`)?.focus();
    this.tick();
  }

  tick() {
    for (const node of this.root.querySelectorAll("[data-since]")) node.textContent = age(node.dataset.since);
  }

  card(alert) {
    const since = element("time", { className: "age", dateTime: alert.captureTime });
    since.dataset.since = alert.captureTime;
    const node = element("li", { className: "alert" },
      element("div", { className: "alert-head" },
        element("span", { className: "priority" }, sentence(alert.priority)),
        element("span", { className: "state" }, stateWords(alert)), kindBadge(alert), since),
      element("p", { className: "summary" }, alert.summary),
      why(alert), response(alert),
      element("p", { className: "facts-line" }, facts(alert, this.label(alert.optic))),
      history(alert), deliveries(alert), this.buttons(alert));
    node.dataset.state = alert.state;
    node.dataset.priority = alert.priority;
    return node;
  }

  buttons(alert) {
    const row = element("div", { className: "buttons" });
    const add = (words, kind, act) => {
      const button = element("button", { type: "button", className: kind }, words);
      button.dataset.action = `${words} ${alert.name}`;
      button.addEventListener("click", () => act(button));
      row.append(button);
    };
    const step = (act, body = {}) => (button) => this.step(alert, act, body, button);
    if (alert.state === "raised") add("Acknowledge", "primary", step("acknowledge"));
    if (alert.state === "acknowledged") {
      add("True", "primary", step("verify", { assessment: "true" }));
      add("False", "quiet", step("verify", { assessment: "false" }));
      add("Cannot tell", "quiet", step("verify", { assessment: "cannot_tell" }));
    }
    if (alert.state === "dispatched") {
      if (alert.assessment !== "true") add("Was true", "quiet", step("verify", { assessment: "true" }));
      if (alert.assessment !== "false") add("Was false", "quiet", step("verify", { assessment: "false" }));
    }
    if (["acknowledged", "verified", "dispatched"].includes(alert.state)) {
      if (alert.assessment !== "false") add("Send to…", alert.state === "verified" ? "primary" : "quiet", () => this.dispatch(alert));
      add("Hand over…", "quiet", () => this.ask.handOver(alert).then((answer) => answer && this.step(alert, "hand-over", answer)));
      add("Close…", "quiet", () => this.close(alert));
    }
    if (["raised", "acknowledged", "verified"].includes(alert.state)) {
      add("Shelve…", "quiet", () => this.ask.shelve(alert).then((answer) => answer && this.step(alert, "shelve", answer)));
    }
    if (alert.state === "shelved") {
      add("Take back…", "quiet", () => this.ask.unshelve(alert).then((answer) => answer && this.step(alert, "unshelve", answer)));
    }
    if (alert.state !== "closed") add("Clip", "quiet", () => this.clip(alert));
    if (alert.state !== "closed") add("Watch", "quiet", () => this.watch(alert.optic));
    return row;
  }

  async dispatch(alert) {
    const answer = await this.ask.dispatch(alert);
    if (answer) await this.step(alert, "dispatch", answer);
  }

  async close(alert) {
    const answer = await this.ask.close(alert);
    if (answer) await this.step(alert, "close", answer);
  }

  async step(alert, act, body, button = null) {
    if (button) button.disabled = true;
    try {
      const path = `/api/${alert.name}/${act}`;
      const answer = await post(path, { ...body, etag: alert.etag, requestId: crypto.randomUUID() });
      if (answer.alert) this.take(answer.alert);
    } catch (error) {
      this.announcer.textContent = error.message;
      const node = this.cards.get(alert.name)?.node;
      node?.querySelector(".problem")?.remove();
      node?.append(element("p", { className: "problem", role: "alert" }, `Not done: ${error.message}`));
      if (button) button.disabled = false;
    }
  }
}

function stateWords(alert) {
  if (alert.state === "raised") return "New";
  if (alert.state === "shelved") return `Shelved until ${clockTime(alert.shelvedUntil)}`;
  const verdict = { true: "true", false: "false", cannot_tell: "cannot tell" }[alert.assessment];
  return sentence(alert.state) + (verdict ? `, ${verdict}` : "");
}

function kindBadge(alert) {
  if (alert.kind === "single") return null;
  return element("span", { className: "kind" }, alert.kind === "flood" ? "Flood" : "Chattering");
}

function response(alert) {
  if (!["raised", "acknowledged", "verified"].includes(alert.state)) return null;
  return element("p", { className: "response" }, alert.suggestedResponse);
}

function deliveries(alert) {
  if (!alert.deliveries.length) return null;
  const words = (delivery) => {
    const parts = [delivery.recipient];
    if (delivery.outcome) parts.push(sentence(delivery.outcome) + (delivery.outcomeNote ? ` (${delivery.outcomeNote})` : ""));
    else if (delivery.received) parts.push("received");
    else if (delivery.state === "delivered") parts.push("delivered");
    else if (delivery.problem) parts.push(`not delivered: ${delivery.problem}`);
    else parts.push("sent");
    return parts.join(": ");
  };
  return element("p", { className: "history" }, alert.deliveries.map(words).join(" · "));
}

function why(alert) {
  const { quantity, unit, value, threshold } = alert.measurement;
  if (!quantity) return null;
  const item = (term, words) => element("div", {}, element("dt", {}, term), element("dd", {}, words));
  return element("dl", { className: "why" },
    item(`Measured ${quantity}`, `${value} ${unit}`.trim()),
    item("Threshold", `${threshold} ${unit}`.trim()),
    item("Place", alert.place),
    item("Model", alert.modelDigest || "not told"));
}

function facts(alert, label) {
  const events = (alert.eventCount > 1 ? ` · ${alert.eventCount} events` : "")
    + (alert.otherOptics.length ? ` · also seen by ${alert.otherOptics.length} more` : "")
    + (alert.escalations ? ` · called ${alert.escalations} times` : "")
    + (alert.owner ? ` · ${alert.owner.split("/").at(-1)}'s` : "");
  return `${label} · captured ${clockTime(alert.captureTime)} · rule ${alert.rule} v${alert.ruleVersion}${events}`;
}

function history(alert) {
  const last = alert.transitions.at(-1);
  if (!last || last.state === "raised") return null;
  const person = last.actor.split("/").at(-1);
  const sent = alert.recipients.length ? ` · sent to ${alert.recipients.join(", ")}` : "";
  const reason = last.reason ? `: ${last.reason}` : "";
  return element("p", { className: "history" }, `${sentence(last.state)} by ${person} at ${clockTime(last.time)}${reason}${sent}`);
}
