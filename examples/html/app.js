// What a front end has to know of the accounts server: five requests, and that a failure brings a sentence
// that can be shown.

const api = new URLSearchParams(location.search).get("api") ?? "http://127.0.0.1:8080";
const page = (id) => document.getElementById(id);
let challenge;
let next;

/** Asks the server; the session's cookie goes along. */
async function ask(method, path, body) {
  const answer = await fetch(`${api}/api/v1${path}`, {
    method,
    credentials: "include",
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  const told = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) {
    // RFC 9457: a title, perhaps a detail, and what is wrong with which field.
    const fields = (told.errors ?? []).map((one) => `${one.field}: ${one.message}`);
    throw new Error([told.title, told.detail, ...fields].filter(Boolean).join(" "));
  }
  return told;
}

function show(id) {
  for (const part of ["sign-up", "sign-in", "code", "inside"]) page(part).hidden = part !== id;
  page("trouble").textContent = "";
  page(id).querySelector("input, button")?.focus();
}

/** What is done when a form is sent, with what is typed in it. */
function when(id, act) {
  page(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    page("trouble").textContent = "";
    try {
      await act(Object.fromEntries(new FormData(event.target)));
    } catch (error) {
      page("trouble").textContent = error.message;
    }
  });
}

async function begin() {
  const { authenticated, user } = await ask("GET", "/auth/authenticated");
  if (!authenticated) return show("sign-in");
  page("who").textContent = user.username ?? user.email;
  show("inside");
}

when("sign-up", async ({ username, email, mobile, "new-password": password }) => {
  const made = await ask("POST", "/users", { username, email, mobile, password });
  // Whoever shows that the number is theirs owns it; signing in comes after that.
  askFor(made.verification, () => signIn(username, password));
});

when("sign-in", ({ identifier, password }) => signIn(identifier, password));

async function signIn(identifier, password) {
  const answer = await ask("POST", "/auth/login", { identifier, password, session: "cookie" });
  if (answer.status === "signed_in") return begin();
  // What is asked for is a second factor, or that an address is shown to be theirs: then they sign in again.
  askFor(answer.challenge, answer.status === "verification_required" ? () => signIn(identifier, password) : begin);
}

/** Asks for the code that was sent; with the right one, `then` goes on. */
function askFor(asked, then) {
  [challenge, next] = [asked.id, then];
  page("code").reset();
  page("sent-to").textContent = asked.sent_to ?? "you";
  show("code");
}

when("code", async ({ code }) => {
  await ask("POST", "/auth/verify-code", { challenge, code });
  await next();
});

page("out").addEventListener("click", async () => {
  await ask("POST", "/auth/logout", {});
  await begin();
});

for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => show(button.dataset.show));
}

await begin();
