// Waits for messages and, when one comes, puts the server's own list in place of the one shown.
// Without this file the page refreshes itself; nothing here makes HTML.
"use strict";

const WAIT = 25; // seconds; below any proxy's patience
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const list = () => document.getElementById("phones");
const title = document.title;
let unseen = 0;

function say(text, lost = false) {
  const news = document.getElementById("news");
  news.className = lost ? "lost" : "unseen";
  if (news.textContent !== text) news.textContent = text;
}

function dress() {
  for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  for (const time of document.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString();
  }
}

async function refresh() {
  const answer = await fetch("/dev/phone", { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("phones");
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
  say(`New message to ${newest.dataset.to}` + (code ? `: code ${[...code].join(" ")}` : ""));
  if (document.hidden) document.title = `(${(unseen += texts.length)}) ${title}`;
}

async function listen() {
  for (;;) {
    try {
      const after = list().dataset.newest;
      const answer = await fetch(`/dev/messages?wait=${WAIT}` + (after ? `&after=${after}` : ""), { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      if ((await answer.json()).items.length === 0) continue;
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
if (list()) listen();
