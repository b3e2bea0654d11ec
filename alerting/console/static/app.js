// The control room's page.

import { openSession, post } from "./api.js";
import { Alerts } from "./alerts.js";
import { Ask, askPurpose } from "./dialogs.js";
import { DutyBar } from "./duty.js";
import { Optics } from "./optics.js";
import { Wall } from "./tiles.js";

const TILES_AT_START = 4;

const byId = (id) => document.getElementById(id);

function openFirst(wall, rows) {
  const streaming = rows.filter((row) => row.state === "streaming");
  for (const row of streaming.slice(0, TILES_AT_START)) wall.open(row.optic, row.label);
  return streaming.length > 0;
}

function startClock() {
  const clock = byId("clock");
  const show = () => {
    clock.textContent = new Date().toLocaleTimeString("en-GB");
  };
  setInterval(show, 1000);
  show();
}

async function start() {
  startClock();
  const session = await openSession();
  byId("operator").textContent = session.operator;
  byId("sign-out").addEventListener("click", async () => {
    sessionStorage.clear();
    await post("/api/logout", {}).catch(() => {});
    location.assign("/");
  });
  const purpose = await askPurpose(session.purposes);
  byId("purpose").textContent = purpose.label;

  let optics = null;
  const wall = new Wall(byId("tiles"), purpose.id, session.operator, () => optics?.render());
  optics = new Optics(byId("optics"), byId("streaming-count"), wall, (rows) => {
    if (openFirst(wall, rows)) optics.onFirst = null;
  });
  const duty = new DutyBar({
    load: byId("load"), shift: byId("shift"), acts: byId("shift-acts"), announcer: byId("announcer"),
  });
  const ask = new Ask(session.authorities, () => duty.colleagues());
  duty.ask = ask;
  const alerts = new Alerts({
    root: byId("alerts"),
    count: byId("open-count"),
    link: byId("link"),
    announcer: byId("announcer"),
    purpose: purpose.id,
    ask,
    watch: (optic) => wall.open(optic, optics.label(optic)),
    clip: (alert) => wall.openClip(alert, `Alarm, ${optics.label(alert.optic)}`),
    label: (optic) => optics.label(optic),
  });
  optics.follow();
  alerts.follow();
  duty.follow();
}

start().catch(() => {
  byId("link").dataset.state = "lost";
  byId("link").textContent = "The console's server does not answer";
});
