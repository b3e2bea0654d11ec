// The shift, and the load on the operators: one line in the bar.

import { get, post } from "./api.js";
import { element } from "./format.js";

const PERIOD_MS = 10000;

export class DutyBar {
  constructor({ load, shift, acts, announcer }) {
    Object.assign(this, { load, shift, acts, announcer });
    this.state = { shift: null, mine: null, colleagues: [], load: null };
  }

  colleagues() {
    return this.state.colleagues;
  }

  async follow() {
    try {
      this.show(await get("/api/duty"));
    } catch {
      this.load.textContent = this.shift.textContent = "unknown";
    }
    setTimeout(() => this.follow(), PERIOD_MS);
  }

  show(state) {
    this.state = state;
    const { current, average, target, stale } = state.load;
    this.load.textContent = `${current} (target below ${target})${stale ? `, ${stale} stale` : ""}`;
    this.load.title = `${average} on average over a day`;
    this.load.dataset.over = String(average >= target);
    const { shift, mine } = state;
    this.shift.textContent = shift ? `${shift.members.length} on duty` : "none open";
    this.acts.replaceChildren();
    // Whoever takes over opens the next shift while the last one is still there.
    if (!mine) this.add("Open shift", () => this.act("open"));
    if (!mine && shift) this.add("Join shift", () => this.act("join", { shift: shift.name }));
    if (mine) {
      this.add("Hand over shift…", () => this.ask.handOverShift().then((answer) => answer && this.act("hand-over", { ...answer, shift: mine.name })));
      this.add("Close shift…", () => this.ask.closeShift().then((answer) => answer && this.act("close", { ...answer, shift: mine.name })));
    }
  }

  add(words, act) {
    const button = element("button", { type: "button", className: "quiet" }, words);
    button.dataset.action = words;
    button.addEventListener("click", act);
    this.acts.append(button);
  }

  async act(act, body = {}) {
    try {
      this.show(await post(`/api/duty/${act}`, { ...body, requestId: crypto.randomUUID() }));
    } catch (error) {
      this.announcer.textContent = error.message;
      this.shift.textContent = `Not done: ${error.message}`;
    }
  }
}
