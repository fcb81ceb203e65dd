// Waits for messages and calls and, when one comes, puts the server's own list in place of the one shown.
// Without this file the page refreshes itself; nothing here makes HTML.
"use strict";

const WAIT = 25; // seconds; below any proxy's patience
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const list = () => document.getElementById("phones");
const title = document.title;
let unseen = 0;
let shown = ""; // the list as the server wrote it

function say(text, lost = false) {
  const news = document.getElementById("news");
  news.className = lost ? "lost" : "unseen";
  if (news.textContent !== text) news.textContent = text;
}

function dress() {
  for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  for (const time of document.querySelectorAll("main time")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString();
  }
}

async function refresh() {
  const answer = await fetch("/dev/phone", { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("phones");
  const tools = document.querySelector(".tools");
  if (!tools.contains(document.activeElement)) tools.replaceWith(page.querySelector(".tools"));
  if (fresh.innerHTML === shown) return dress() ?? [];
  shown = fresh.innerHTML;
  const known = new Set([...list().querySelectorAll(".text")].map((text) => text.id));
  const held = document.activeElement?.id;
  const read = [...list().querySelectorAll(".talk")].map((talk) => [talk.id, talk.scrollTop]);
  list().replaceWith(fresh);
  dress();
  for (const [id, place] of read) document.getElementById(id)?.scrollTo(0, place);
  if (held) document.getElementById(held)?.focus({ preventScroll: true });
  return [...fresh.querySelectorAll(".text")].filter((text) => !known.has(text.id));
}

function announce(texts) {
  for (const text of texts) {
    text.classList.add("ring");
    text.closest(".phone").classList.add("ring");
    text.closest(".talk").scrollTo(0, 0);
  }
  const [newest] = texts;
  if (!newest) return;
  const code = newest.dataset.code;
  const what = newest.classList.contains("call") ? "Incoming call" : "New message";
  say(`${what} to ${newest.dataset.to}` + (code ? `: code ${[...code].join(" ")}` : ""));
  if (document.hidden) document.title = `(${(unseen += texts.length)}) ${title}`;
}

async function listen() {
  for (;;) {
    try {
      const after = list().dataset.newest;
      const answer = await fetch(`/dev/messages?wait=${WAIT}` + (after ? `&after=${after}` : ""), { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      if ((await answer.json()).items.length === 0) continue;
      follow();
      announce(await refresh());
      // The provider's callbacks come a moment later, and change only the status.
      await pause(1);
      announce(await refresh());
    } catch {
      // A page that is being left loses its request too: not worth a word.
      await pause(1);
      await refresh().then(back, () => say("The server does not answer. Trying again.", true));
    }
  }
}

// A call changes while nothing new arrives: looked at each second for as long as it lives.
let following = false;
async function follow() {
  if (following) return;
  following = true;
  for (let quiet = 0; quiet < 3; quiet = document.querySelector(".line") ? 0 : quiet + 1) {
    await pause(1);
    await refresh().then(announce, () => {});
  }
  following = false;
}

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const wish = new URLSearchParams(new FormData(form, event.submitter));
  try {
    const answer = await fetch(form.action, { method: "POST", body: wish });
    if (!answer.ok) say((await answer.json()).title ?? answer.statusText, true);
    else if (form.matches(".tool")) document.activeElement?.blur();
  } catch {
    say("The server does not answer.", true);
  }
  announce(await refresh().catch(() => []));
  if (form.matches(".line")) document.querySelector(".line button")?.focus();
  follow();
});

function back(texts) {
  if (document.querySelector(".lost")) say("The server answers again.");
  announce(texts);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // Not allowed to: what is to be copied is at least selected.
    getSelection().selectAllChildren(button.previousElementSibling);
    return;
  }
  button.textContent = "Copied";
  say("Copied");
  await pause(1.5);
  button.textContent = "Copy";
  say("");
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) [unseen, document.title] = [0, title];
});

dress();
if (list()) {
  if (document.querySelector(".line")) follow();
  listen();
}
