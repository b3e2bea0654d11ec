// The wall: at most four live views at once. People see less, not more, with more screens before them.

import { post } from "./api.js";
import { element } from "./format.js";
import { Viewing } from "./whep.js";

const MAXIMUM = 4;
const RETRY_MS = 4000;
const MARKS = 12;

const WORDS = {
  new: "Connecting",
  connecting: "Connecting",
  connected: "Live",
  disconnected: "Interrupted",
  failed: "Lost",
  closed: "Closed",
};

class Tile {
  constructor(optic, label, purpose, viewer, onClose) {
    this.optic = optic;
    this.viewer = viewer;
    this.purpose = purpose;
    this.retry = 0;
    this.video = element("video", { muted: true, autoplay: true, playsInline: true });
    this.video.setAttribute("aria-label", `Masked live video of ${label}`);
    this.state = element("span", { className: "tile-state", role: "status" }, "Asking");
    this.message = element("p", { className: "tile-message" }, "Asking for permission to watch");
    const close = element("button", { className: "quiet", type: "button", onclick: onClose }, "Close");
    close.setAttribute("aria-label", `Close ${label}`);
    // Everybody receives the same packets: who watches, and when, stands over the picture on this page.
    this.marks = element("div", { className: "tile-watermark" },
      ...Array.from({ length: MARKS }, () => element("span", {})));
    this.marks.setAttribute("aria-hidden", "true");
    this.mark();
    this.clock = setInterval(() => this.mark(), 1000);
    this.node = element("figure", { className: "tile" },
      this.video, this.marks, this.message,
      element("figcaption", {}, element("span", { className: "tile-label" }, label), this.state, close));
    this.node.dataset.state = "new";
    this.video.addEventListener("playing", () => this.show("connected", ""));
    this.viewing = new Viewing(this.video, (state) => this.connectionChanged(state));
    this.open();
  }

  mark() {
    const time = new Date().toISOString().slice(0, 19).replace("T", " ");
    for (const each of this.marks.children) each.textContent = `${this.viewer} ${time} UTC`;
  }

  async open() {
    try {
      this.show("connecting", "Waiting for the first masked picture");
      await this.viewing.open(await post("/api/viewings", { optic: this.optic, purpose: this.purpose }));
    } catch (error) {
      this.show("failed", `No live view: ${error.message}`);
      this.again();
    }
  }

  connectionChanged(state) {
    if (state === "failed") {
      this.show("failed", "The live view was lost");
      this.again();
    } else if (state === "disconnected") this.show(state, "");
  }

  again() {
    this.viewing.close();
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.open(), RETRY_MS);
  }

  show(state, message) {
    this.node.dataset.state = state;
    this.state.textContent = WORDS[state];
    this.message.textContent = message;
  }

  close() {
    clearTimeout(this.retry);
    clearInterval(this.clock);
    this.viewing.close();
    this.node.remove();
  }
}

// The seconds around an alarm; its name stands where a tile has its optic's.
class Clip extends Tile {
  open() {
    this.video.setAttribute("aria-label", "Masked clip of an alarm");
    this.video.controls = true;
    this.video.addEventListener("error", () => this.show("failed", "No clip: it is not recorded yet, or not yours to see"));
    this.show("connecting", "Waiting for the clip");
    this.video.src = `/api/${this.optic}/clip?purpose=${encodeURIComponent(this.purpose)}`;
  }

  show(state, message) {
    super.show(state, message);
    if (state === "connected") this.state.textContent = "Clip";
  }
}

export class Wall {
  constructor(root, purpose, viewer, onChange) {
    this.root = root;
    this.viewer = viewer;
    this.purpose = purpose;
    this.onChange = onChange;
    this.tiles = new Map();
    this.empty = element("p", { className: "empty" }, "No live view is open. Choose an optic.");
    root.append(this.empty);
    addEventListener("pagehide", () => [...this.tiles.keys()].forEach((optic) => this.close(optic)));
  }

  has(optic) {
    return this.tiles.has(optic);
  }

  get full() {
    return this.tiles.size >= MAXIMUM;
  }

  openClip(alert, label) {
    this.open(alert.name, label, Clip);
  }

  open(optic, label, Kind = Tile) {
    if (this.has(optic)) return this.tiles.get(optic).node.scrollIntoView({ block: "nearest" });
    // The one that has been open longest makes room.
    if (this.full) this.close(this.tiles.keys().next().value);
    const tile = new Kind(optic, label, this.purpose, this.viewer, () => this.close(optic));
    this.tiles.set(optic, tile);
    this.root.append(tile.node);
    this.changed();
    return undefined;
  }

  close(optic) {
    this.tiles.get(optic)?.close();
    this.tiles.delete(optic);
    this.changed();
  }

  changed() {
    this.empty.hidden = this.tiles.size > 0;
    this.root.dataset.count = this.tiles.size;
    this.onChange();
  }
}
