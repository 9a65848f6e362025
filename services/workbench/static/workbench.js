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
// What-if desks answer while one types; without scripts their button does the same.
for (const form of document.querySelectorAll("form[data-live]")) {
  const result = document.getElementById("result");
  let waiting, asked = 0;
  const ask = async () => {
    const number = ++asked;
    result.setAttribute("aria-busy", "true");
    const answer = await fetch(form.action, {method: "POST", body: new FormData(form), headers: {"X-Part": "result"}});
    if (number !== asked) return; // a later question is under way
    if (answer.redirected) { location.reload(); return; }
    result.innerHTML = await answer.text();
    result.removeAttribute("aria-busy");
  };
  form.addEventListener("input", (event) => {
    const shown = form.querySelector(`output[for="${event.target.id}"]`);
    if (shown) shown.value = event.target.value;
    clearTimeout(waiting);
    waiting = setTimeout(ask, 300);
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
}
// Long work is looked at again until it is through; then its page shows what it found.
for (const part of document.querySelectorAll("[data-follow]")) {
  const look = async () => {
    const answer = await fetch(location.href, {headers: {"X-Part": "progress"}}).catch(() => null);
    if (answer && answer.ok) {
      part.innerHTML = await answer.text();
      if (answer.redirected || !part.querySelector("progress")) { location.reload(); return; }
    }
    setTimeout(look, 2000);
  };
  if (part.querySelector("progress")) setTimeout(look, 2000);
}
// Only once the service has it is a draft let go: a session may end between.
for (const note of document.querySelectorAll("[data-handed-in]")) {
  sessionStorage.removeItem("draft:" + note.dataset.handedIn);
}
