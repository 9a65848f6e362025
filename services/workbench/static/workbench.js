// A form goes once however often its button is pressed, and a draft survives until it has been handed in.
"use strict";

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => {
    // After the browser has read the form: a disabled button would not be sent.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }), 0);
  });
}
// The page comes back from the browser's own store when one goes back: its buttons work again.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-once] button").forEach((button) => { button.disabled = false; });
});

for (const form of document.querySelectorAll("form[data-draft]")) {
  const place = "draft:" + form.dataset.draft;
  const fields = [...form.elements].filter((field) => field.name && field.type !== "hidden");
  const draft = JSON.parse(sessionStorage.getItem(place) || "{}");
  for (const field of fields) {
    if (field.tagName === "INPUT" && !field.value && draft[field.name]) field.value = draft[field.name];
  }
  form.addEventListener("input", () => {
    sessionStorage.setItem(place, JSON.stringify(Object.fromEntries(fields.map((field) => [field.name, field.value]))));
  });
}
// Only once the service has it is a draft let go: a session may end between.
for (const note of document.querySelectorAll("[data-handed-in]")) {
  sessionStorage.removeItem("draft:" + note.dataset.handedIn);
}
