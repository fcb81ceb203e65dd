// From nobody to signed out, with a client that knows every path, body and answer by its type:
// `schema.d.ts` is made of the server's own OpenAPI document. See README.md for how to run it.

import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const origin = process.env["VESTIBULE_ORIGIN"] ?? "http://127.0.0.1:8080";
const api = createClient<paths>({ baseUrl: origin });

/** What went well, or the server's own sentence about what did not. */
function good<T>(answer: { data?: T; error?: { title?: string; detail?: string | null }; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.status}: ${answer.error?.title ?? "no answer"} ${answer.error?.detail ?? ""}`);
  }
  return answer.data;
}

const digits = (count: number) => String(Math.floor(Math.random() * 10 ** count)).padStart(count, "0");
const username = `typescript${digits(9)}`;
const email = `${username}@example.com`;
const mobile = `+1201555${digits(4)}`;
const password = "violet kettle forty moons";

const made = good(
  await api.POST("/api/v1/users", {
    body: { username, email, mobile, password, is_2fa_enabled: true },
  }),
);
console.log(`signed up: ${made.user.username}`);

for (const asked of made.verifications) {
  good(await api.POST("/api/v1/auth/verify-code", { body: { challenge: asked.id, code: await code(asked.factor, 1) } }));
  console.log(`verified by ${asked.factor}`);
}

const asked = good(
  await api.POST("/api/v1/auth/login", { body: { identifier: username, password, session: "bearer" } }),
);
if (asked.status !== "second_factor_required") throw new Error(`no second factor was asked for: ${asked.status}`);
console.log(`a code was sent: ${asked.challenge.sent_to}`);

// The second one there: the first showed the number or the address to be one's own.
const answer = { challenge: asked.challenge.id, code: await code(asked.challenge.factor, 2) };
const verified = good(await api.POST("/api/v1/auth/verify-code", { body: answer }));
if (verified.status !== "signed_in" || !verified.token) throw new Error("not signed in");
api.use({
  onRequest({ request }) {
    request.headers.set("authorization", `Bearer ${verified.token}`);
    return request;
  },
});

const me = good(await api.GET("/api/v1/users/me"));
console.log(`oneself: ${me.username}, ${me.identifiers.length} identifiers`);
const sessions = good(await api.GET("/api/v1/sessions", { params: { query: { limit: 10 } } }));
console.log(`sessions: ${sessions.items.length}`);

await api.POST("/api/v1/auth/logout", { body: {} });
const after = await api.GET("/api/v1/users/me");
if (after.response.status !== 401) throw new Error("the session did not end");
console.log("signed out");

/** The newest of `wanted` codes at the phone of development mode, which is no part of the API. */
async function code(factor: string, wanted: number): Promise<string> {
  const to = factor === "email" ? email : mobile;
  for (let look = 0; look < 100; look++) {
    const answer = await fetch(`${origin}/dev/messages?to=${encodeURIComponent(to)}`);
    const { items } = (await answer.json()) as { items: { code?: string }[] };
    const [newest, ...older] = items.flatMap((one) => one.code ?? []);
    if (newest && older.length + 1 >= wanted) return newest;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("no code came");
}
