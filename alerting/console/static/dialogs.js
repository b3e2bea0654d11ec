// The questions that the page asks: what for, to whom, why.

import { element, sentence } from "./format.js";

const REMEMBERED = "argo-purpose";

// Asked once per session; the link that opened the page may have said it already.
export function askPurpose(purposes) {
  const said = new URLSearchParams(location.search).get("purpose") ?? sessionStorage.getItem(REMEMBERED);
  const known = purposes.find((purpose) => purpose.id === said);
  if (known) return Promise.resolve(remember(known));
  const dialog = document.getElementById("start");
  const select = document.getElementById("start-purpose");
  select.replaceChildren(...purposes.map((purpose) => element("option", { value: purpose.id }, sentence(purpose.label))));
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(remember(purposes.find((purpose) => purpose.id === select.value)));
    }, { once: true });
  });
}

function remember(purpose) {
  sessionStorage.setItem(REMEMBERED, purpose.id);
  return purpose;
}

export class Ask {
  constructor(authorities, colleagues) {
    this.colleagues = colleagues;
    this.durationField = document.getElementById("ask-duration-field");
    this.duration = document.getElementById("ask-duration");
    this.personField = document.getElementById("ask-person-field");
    this.person = document.getElementById("ask-person");
    this.people = document.getElementById("ask-people");
    this.dialog = document.getElementById("ask");
    this.title = document.getElementById("ask-title");
    this.summary = document.getElementById("ask-summary");
    this.recipientField = document.getElementById("ask-recipient-field");
    this.recipient = document.getElementById("ask-recipient");
    this.reason = document.getElementById("ask-reason");
    this.confirm = document.getElementById("ask-confirm");
    this.authorities = authorities;
  }

  dispatch(alert) {
    const left = this.authorities.filter((authority) => !alert.recipients.includes(authority));
    this.recipient.replaceChildren(
      ...left.map((authority) => element("option", { value: authority }, sentence(authority.replaceAll("-", " ")))));
    return this.show("Send to an authority", "Send", alert, () => ({ recipient: this.recipient.value }), this.recipientField);
  }

  shelve(alert) {
    return this.show("Set the alert aside", "Shelve", alert, () => ({ minutes: Number(this.duration.value) }), this.durationField);
  }

  unshelve(alert) {
    return this.show("Take the alert off the shelf", "Take back", alert, () => ({}));
  }

  handOver(alert) {
    return this.show("Hand the alert over", "Hand over", alert, () => ({ owner: this.person.value.trim() }), this.personField);
  }

  handOverShift() {
    const summary = { summary: "Everything that is yours goes to a colleague of the next shift, with your note." };
    return this.show("Hand your shift over", "Hand over", summary, () => ({ owner: this.person.value.trim() }), this.personField);
  }

  closeShift() {
    return this.show("Close the shift", "Close the shift", { summary: "Leave a note for whoever comes next." }, () => ({}));
  }

  close(alert) {
    return this.show("Close the alert", "Close the alert", alert, () => ({}));
  }

  show(title, confirm, alert, more, field = null) {
    for (const one of [this.recipientField, this.durationField, this.personField]) one.hidden = one !== field;
    this.person.required = field === this.personField;
    this.person.value = "";
    this.people.replaceChildren(...this.colleagues().map((value) => element("option", { value })));
    this.title.textContent = title;
    this.confirm.textContent = confirm;
    this.summary.textContent = alert.summary;
    this.reason.value = "";
    this.dialog.returnValue = "";
    this.dialog.showModal();
    this.reason.focus();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => {
        const confirmed = this.dialog.returnValue === "confirm";
        resolve(confirmed ? { reason: this.reason.value, ...more() } : null);
      }, { once: true });
    });
  }
}
