// The list of optics: how each is, and how the last five minutes were covered. Unknown is said to be unknown.

import { get } from "./api.js";
import { age, element, percent, sentence } from "./format.js";

const PERIOD_MS = 2000;

const WORDS = {
  streaming: "Streaming",
  connecting: "Connecting",
  waiting: "Waiting for a picture",
  lost: "Lost, dialling again",
  refused: "Refused",
  stopped: "Stopped",
  unknown: "Unknown",
};

export class Optics {
  constructor(root, count, wall, onFirst) {
    this.root = root;
    this.count = count;
    this.wall = wall;
    this.onFirst = onFirst;
    this.rows = [];
  }

  async follow() {
    try {
      this.rows = (await get("/api/optics")).optics;
      this.onFirst?.(this.rows);
    } catch {
      // Nothing is known any more: an old state would look like a quiet street.
      this.rows = this.rows.map((row) => ({ ...row, state: "unknown", detail: "The console's server does not answer." }));
    }
    this.render();
    setTimeout(() => this.follow(), PERIOD_MS);
  }

  label(optic) {
    return this.rows.find((row) => row.optic === optic)?.label ?? optic.split("/").filter((_, i) => i % 2).join(", ");
  }

  render() {
    const streaming = this.rows.filter((row) => row.state === "streaming").length;
    const refused = this.rows.filter((row) => row.refusals.length).length;
    this.count.textContent = `${streaming} of ${this.rows.length}${refused ? `, ${refused} refused` : ""}`;
    const focused = document.activeElement?.dataset?.optic;
    this.root.replaceChildren(...this.rows.map((row) => this.item(row)));
    if (this.rows.length === 0) this.root.append(element("li", { className: "empty" }, "The registry has named no optic yet."));
    if (focused) this.root.querySelector(`[data-optic="${CSS.escape(focused)}"]`)?.focus();
  }

  item(row) {
    const open = this.wall.has(row.optic);
    const watch = element("button", { type: "button", className: "watch" }, open ? "Stop" : "Watch");
    watch.dataset.optic = row.optic;
    watch.setAttribute("aria-label", `${open ? "Stop watching" : "Watch"} ${row.label}`);
    watch.setAttribute("aria-pressed", String(open));
    watch.addEventListener("click", () => {
      if (open) this.wall.close(row.optic);
      else this.wall.open(row.optic, row.label);
    });
    const breach = row.unmaskedFramesOut > 0
      ? element("p", { className: "breach", role: "alert" }, `${row.unmaskedFramesOut} pictures left without a mask`)
      : null;
    const item = element("li", { className: "optic" },
      element("div", { className: "optic-head" },
        element("div", {}, element("strong", {}, row.label), element("span", { className: "site" }, row.site || "Site unknown")),
        watch),
      element("p", { className: "optic-state" }, element("span", { className: "dot" }), describe(row)),
      coverage(row.coverage), breach);
    item.dataset.state = row.state;
    if (row.refusals.length) item.append(refusals(row));
    else if (row.detail && row.state !== "streaming") item.append(element("p", { className: "detail" }, row.detail));
    if (row.impairments.length) item.append(element("p", { className: "detail" }, `Picture: ${row.impairments.join(", ")}`));
    return item;
  }
}

function describe(row) {
  const words = [WORDS[row.state] ?? row.state];
  if (row.state !== "streaming" && row.reason) words.push(sentence(row.reason));
  if (row.state === "streaming" && row.tracks !== null) words.push(`${row.tracks} tracked`);
  if (row.since && row.state !== "unknown") words.push(`since ${age(row.since).replace(" ago", "")}`);
  return words.join(" · ");
}

// Every reason at once: whoever puts one right and not the others has put nothing right.
function refusals(row) {
  const list = element("ul", { className: "refusals" },
    ...row.refusals.map((refusal) => element("li", { className: "detail", title: refusal.reason }, refusal.description)));
  list.setAttribute("aria-label", `Why ${row.label} may not stream`);
  return list;
}

function coverage(shares) {
  const bar = element("div", { className: "coverage", role: "img" });
  const words = ["analysed", "received", "lost", "unknown"].map((kind) => {
    const part = element("span", { className: kind });
    part.style.flexGrow = shares[kind];
    bar.append(part);
    return `${kind} ${percent(shares[kind])}`;
  });
  bar.setAttribute("aria-label", `Coverage of the last five minutes: ${words.join(", ")}`);
  bar.title = words.join(", ");
  return bar;
}
