/**
 * Checks access tokens of Vestibule offline, and hears within a second that one of them no longer counts.
 *
 * The format is in `docs/revocations.md` of the server; `vestibule::verify` in Rust does the same. Nothing is
 * read of a token or a batch before its signature is right; a batch that does not follow on what was read
 * before is not taken; how current the feed is is said by the signature and by nobody in between.
 */

/** What to do with a good token while the feed is older than `patience`. */
export type WhenStale =
  /** Nobody whose session has ended gets in; while the accounts are away, nobody does. */
  | "refuse"
  /** Until the token expires the service goes on without the accounts; so does whoever was signed out. */
  | "accept";

export interface Settings {
  /** Who must have issued the token, such as `https://accounts.example.com`. */
  issuer: string;
  /** For whom it must be: `tokens.audience` of the accounts; the issuer when left out. */
  audience?: string;
  /** Where the accounts are reached from here; the issuer when left out. */
  server?: string;
  /** An API key with the scope `revocations.read`. */
  key: string;
  whenStale: WhenStale;
  /** How old the feed may be, in milliseconds; 15 seconds when left out. Its heart beats every 5. */
  patience?: number;
  /** Milliseconds since 1970; `Date.now` when left out. */
  clock?: () => number;
  /** Told why the feed or the keys cannot be read, each time; `console.warn` when left out. */
  warn?: (why: string) => void;
}

/** What an access token says (RFC 9068). */
export interface Claims {
  iss: string;
  /** The user. */
  sub: string;
  aud: string;
  client_id: string;
  /** The session. */
  sid: string;
  /** From when on the session counts, in milliseconds since 1970. */
  session_from: number;
  jti: string;
  iat: number;
  exp: number;
  auth_time: number;
  /** The authenticator assurance level that was reached. */
  aal: number;
  /** The methods that were shown to sign in (RFC 8176). */
  amr: string[];
}

/** `invalid` and `ended` are 401 to whoever asks, `stale` is 503. */
export type Reason = "invalid" | "ended" | "stale";

/** Why a token does not count. */
export class Refused extends Error {
  constructor(readonly reason: Reason) {
    super(
      reason === "invalid"
        ? "the access token is not valid"
        : reason === "ended"
          ? "the session has ended"
          : "whether the session still stands is not known",
    );
  }
}

type Type = "at+jwt" | "revocations+jwt";
type Entry =
  | { sid: string; until: number }
  | { sub: string; session_from: number | null; until: number };
interface Batch {
  iss: string;
  now: number;
  after: string | null;
  cursor: string;
  more: boolean;
  items: Entry[];
}

/** A published key: what the header of its tokens is, byte for byte, and how it checks. */
interface Key {
  header: (type: Type) => string;
  checks: (signed: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>) => Promise<boolean>;
}

/** The longest access token that is looked at, and the longest batch. */
const LONGEST = { "at+jwt": 2048, "revocations+jwt": 1 << 20 };
/** How far clocks may differ, in seconds. */
const SKEW = 60;
/** The longest that an access token may last, in seconds: for so long the feed tells of an ending. */
const LONGEST_LIFE = 3600;
/** How long the published keys are used before they are read again, in milliseconds. */
const FRESH = 300_000;
/** Least time between two readings of the keys: anybody can make up a `kid`. */
const PAUSE = 5_000;
/** How long a reading may take. */
const PATIENCE = 5_000;
/** How long nothing may be heard of a stream whose heart beats every 5 seconds. */
const SILENCE = 15_000;
/** How long one batch is waited for where streams are held back, in seconds. */
const WAIT = 20;
/** How many streams may end without a word before batches are asked for, and how many of those. */
const MUTE = 2;
const BATCHES = 30;
/** How often what no longer matters is forgotten, in milliseconds. */
const SWEEP = 60_000;
/** How far the clock of the accounts may be ahead, in milliseconds. Past it a batch would hold up all true ones after it. */
const AHEAD = 60_000;

const encoder = new TextEncoder();
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function encode(bytes: Uint8Array): string {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Without padding and without bits to spare: each content has one spelling. */
function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (one) => one.charCodeAt(0));
    return encode(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** The algorithm is the key's, and never what a token says of itself. */
const ALGORITHMS: Record<string, { of: RsaHashedImportParams | EcKeyImportParams | Algorithm; by: EcdsaParams | Algorithm }> = {
  ES256: { of: { name: "ECDSA", namedCurve: "P-256" }, by: { name: "ECDSA", hash: "SHA-256" } },
  EdDSA: { of: { name: "Ed25519" }, by: { name: "Ed25519" } },
  RS256: { of: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, by: { name: "RSASSA-PKCS1-v1_5" } },
};

async function read(jwk: JsonWebKey & { kid?: string }): Promise<Key | undefined> {
  const { alg, kid } = jwk;
  const algorithm = alg === undefined ? undefined : ALGORITHMS[alg];
  if (algorithm === undefined || kid === undefined || !UUID.test(kid)) return undefined;
  try {
    // `alg` is left out: the names of Ed25519 differ between implementations, and the key says its curve.
    const { alg: _, ...bare } = jwk;
    const key = await crypto.subtle.importKey("jwk", bare, algorithm.of, false, ["verify"]);
    return {
      header: (type) => encode(encoder.encode(`{"alg":"${alg}","typ":"${type}","kid":"${kid}"}`)),
      checks: (signed, signature) => crypto.subtle.verify(algorithm.by, key, signature, signed),
    };
  } catch {
    return undefined;
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function isId(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}

function isClaims(said: Partial<Claims> | null): said is Claims {
  return (
    typeof said === "object" &&
    said !== null &&
    typeof said.iss === "string" &&
    typeof said.aud === "string" &&
    typeof said.client_id === "string" &&
    [said.sub, said.sid, said.jti].every(isId) &&
    [said.session_from, said.iat, said.exp, said.auth_time, said.aal].every(isNumber) &&
    Array.isArray(said.amr)
  );
}

function isBatch(said: Partial<Batch> | null): said is Batch {
  const isEntry = (item: Partial<{ sid: string; sub: string; session_from: number | null; until: number }>) =>
    isNumber(item.until) &&
    (isId(item.sid) || (isId(item.sub) && (item.session_from === null || isNumber(item.session_from))));
  return (
    typeof said === "object" &&
    said !== null &&
    isNumber(said.now) &&
    (said.after === null || isId(said.after)) &&
    isId(said.cursor) &&
    typeof said.more === "boolean" &&
    Array.isArray(said.items) &&
    said.items.every(isEntry)
  );
}

/** How far two instants are apart: a clock that was set back does not make the older of them new. */
const apart = (one: number, other: number) => Math.abs(one - other);

/** Of what `fetch` throws the cause says more. */
function reason(error: unknown): string {
  return String(error instanceof Error ? (error.cause ?? error) : error);
}

const sleep = (milliseconds: number, signal: AbortSignal | undefined) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/** Checks access tokens. `follow` has to run beside it. */
export class Verifier {
  readonly #settings: Required<Settings>;
  #keys: Key[] = [];
  #keysReadAt = -Infinity;
  #keysAskedAt = -Infinity;
  #reading: Promise<void> | undefined;
  #cursor: string | undefined;
  #asOf: number | undefined;
  #sweptAt = -Infinity;
  readonly #sessions = new Map<string, number>();
  readonly #users = new Map<string, { from: number | null; until: number }>();

  constructor(settings: Settings) {
    const { issuer } = settings;
    // What `fetch` throws of a header that it cannot send quotes it whole.
    if (!/^[\x21-\x7e]+$/.test(settings.key.trim())) throw new TypeError("the key of the feed is not one API key");
    const warn = (why: string) => console.warn(`vestibule: ${why}`);
    this.#settings = { audience: issuer, server: issuer, patience: 15_000, clock: Date.now, warn, ...settings, key: settings.key.trim() };
    this.#settings.server = new URL(this.#settings.server).href.replace(/\/+$/, "");
  }

  /** The instant up to which every ending is known; undefined before the feed was read for the first time. */
  get asOf(): number | undefined {
    return this.#asOf;
  }

  /** The entry of the feed that was read last. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** What the access token says. Throws {@link Refused} when it does not count. */
  async check(token: string): Promise<Claims> {
    const { issuer, audience, patience, whenStale, clock } = this.#settings;
    const said = await this.#open<Claims>("at+jwt", token);
    const now = clock();
    const seconds = Math.floor(now / 1000);
    const counts =
      isClaims(said) &&
      said.iss === issuer &&
      said.aud === audience &&
      seconds < said.exp &&
      said.iat <= seconds + SKEW &&
      said.exp - said.iat <= LONGEST_LIFE;
    if (!counts) throw new Refused("invalid");
    const ofUser = this.#users.get(said.sub);
    const isCut = ofUser !== undefined && (ofUser.from === null || said.session_from < ofUser.from);
    if (isCut || this.#sessions.has(said.sid)) throw new Refused("ended");
    // Not when the instant lies ahead: whatever ended in between would be missing.
    const isCurrent = this.#asOf !== undefined && apart(now, this.#asOf) <= patience;
    if (!isCurrent && whenStale !== "accept") throw new Refused("stale");
    return said;
  }

  /** Follows the feed until `signal` says to stop. Never throws: what goes wrong is tried again. */
  async follow(signal?: AbortSignal): Promise<void> {
    let [mute, batches, failures] = [0, 0, 0];
    while (signal?.aborted !== true) {
      await this.#refreshKeys();
      const byBatch = batches > 0;
      if (byBatch) batches -= 1;
      const heard = await (byBatch ? this.#ask(signal) : this.#listen(signal)).catch((error) => this.#silent(error, signal));
      if (heard) {
        [mute, failures] = [0, 0];
      } else {
        failures += 1;
        if (!byBatch) mute += 1;
        if (mute >= MUTE) [mute, batches] = [0, BATCHES];
      }
      if (byBatch && heard) continue;
      const whole = Math.min(100 * 2 ** Math.min(failures, 10), 5_000);
      await sleep(whole * (1 + Math.random() / 2), signal);
    }
  }

  /** Says why nothing was heard, unless that was wanted. */
  #silent(error: unknown, signal: AbortSignal | undefined): false {
    if (signal?.aborted !== true) this.#settings.warn(`the feed of revocations cannot be followed: ${reason(error)}`);
    return false;
  }

  async #request(wait: number | undefined, accept: string, signal: AbortSignal): Promise<Response> {
    const address = new URL(`${this.#settings.server}/api/v1/revocations`);
    if (this.#cursor !== undefined) address.searchParams.set("after", this.#cursor);
    if (wait !== undefined) address.searchParams.set("wait", String(wait));
    const headers = { accept, authorization: `Bearer ${this.#settings.key}` };
    const answer = await fetch(address, { headers, signal, redirect: "error" });
    if (!answer.ok) {
      await answer.body?.cancel();
      throw new Error(`the feed answered ${answer.status}`);
    }
    return answer;
  }

  /** Listens to one stream until it ends. Whether something was heard. */
  async #listen(signal: AbortSignal | undefined): Promise<boolean> {
    const ends = new AbortController();
    const end = () => ends.abort();
    signal?.addEventListener("abort", end, { once: true });
    let silence = setTimeout(end, SILENCE);
    let heard = false;
    try {
      const answer = await this.#request(undefined, "text/event-stream", ends.signal);
      let text = "";
      const decoder = new TextDecoder();
      const reader = answer.body?.getReader();
      for (;;) {
        const read = await reader?.read();
        if (read === undefined || read.done) return heard;
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE);
        text += decoder.decode(read.value, { stream: true });
        const lines = text.split("\n");
        text = lines.pop() ?? "";
        for (const line of lines) {
          if (!line.startsWith("data:")) continue;
          if (!(await this.#take(line.slice(5).trim()))) return heard;
          heard = true;
        }
        if (text.length > LONGEST["revocations+jwt"]) return heard;
      }
    } catch (error) {
      return heard || this.#silent(error, signal);
    } finally {
      clearTimeout(silence);
      signal?.removeEventListener("abort", end);
      end();
    }
  }

  /** Asks for one batch, and waits for it. */
  async #ask(signal: AbortSignal | undefined): Promise<boolean> {
    const patience = AbortSignal.timeout(WAIT * 1000 + SILENCE);
    const both = signal === undefined ? patience : AbortSignal.any([signal, patience]);
    const answer = await this.#request(WAIT, "application/jose", both);
    return this.#take((await answer.text()).trim());
  }

  /** Takes what follows on what is known, signed as it should be. Whether it did. */
  async #take(text: string): Promise<boolean> {
    await this.#refreshKeys();
    const batch = await this.#open<Batch>("revocations+jwt", text).catch(() => null);
    const now = this.#settings.clock();
    const why = isBatch(batch) ? this.#refuses(batch, now) : "it is not signed as it should be";
    if (!isBatch(batch) || why !== undefined) {
      this.#settings.warn(`a batch of the feed of revocations is not taken: ${why}`);
      return false;
    }
    for (const item of batch.items) {
      if ("sid" in item) this.#sessions.set(item.sid, item.until);
      else this.#users.set(item.sub, { from: item.session_from, until: item.until });
    }
    this.#cursor = batch.cursor;
    if (!batch.more) this.#asOf = batch.now;
    // What expires is held to the clock here: neither of the two may forget what still counts by the other.
    const past = Math.min(batch.now, now);
    if (past - this.#sweptAt > SWEEP) {
      this.#sweptAt = past;
      for (const [sid, until] of this.#sessions) if (until <= past) this.#sessions.delete(sid);
      for (const [sub, { until }] of this.#users) if (until <= past) this.#users.delete(sub);
    }
    return true;
  }

  /** Why the batch does not follow on what is known. */
  #refuses(batch: Batch, now: number): string | undefined {
    if (batch.iss !== this.#settings.issuer) return "it is of another issuer";
    if (batch.after !== null && batch.after !== this.#cursor) return "something before it is missing";
    if (this.#asOf !== undefined && batch.now < this.#asOf) return "it is older than what is known";
    if (batch.now - now > AHEAD) return "it comes from the future: the clocks differ";
    return undefined;
  }

  /** The content of what one of the published keys has signed. */
  async #open<T>(type: Type, token: string): Promise<Partial<T> | null> {
    const parts = token.split(".");
    const [header, payload, signature] = parts;
    if (token.length > LONGEST[type] || parts.length !== 3) throw new Refused("invalid");
    const known = () => this.#keys.find((key) => key.header(type) === header);
    if (known() === undefined) await this.#readKeys();
    if (this.#keys.length === 0) throw new Refused("stale");
    const key = known();
    const given = decode(signature ?? "");
    const content = decode(payload ?? "");
    if (key === undefined || given === undefined || content === undefined) throw new Refused("invalid");
    const isRight = await key.checks(encoder.encode(`${header}.${payload}`), given).catch(() => false);
    if (!isRight) throw new Refused("invalid");
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content)) as Partial<T> | null;
    } catch {
      throw new Refused("invalid");
    }
  }

  /**
   * Reads the published keys again when they are old. Left to whoever follows the feed: a check of a token whose
   * key is known waits for nobody.
   */
  async #refreshKeys(): Promise<void> {
    const areOld = apart(this.#settings.clock(), this.#keysReadAt) > FRESH;
    if (this.#keys.length > 0 && areOld) await this.#readKeys();
  }

  /** Reads the published keys, once for all who miss one, and not again for a while. */
  async #readKeys(): Promise<void> {
    if (this.#reading !== undefined) return this.#reading;
    const now = this.#settings.clock();
    if (apart(now, this.#keysAskedAt) < PAUSE) return;
    this.#keysAskedAt = now;
    this.#reading = (async () => {
      const address = `${this.#settings.server}/.well-known/jwks.json`;
      const answer = await fetch(address, { signal: AbortSignal.timeout(PATIENCE), redirect: "error" });
      if (!answer.ok) {
        await answer.body?.cancel();
        throw new Error(`they answered ${answer.status}`);
      }
      const set = (await answer.json()) as { keys?: JsonWebKey[] };
      const keys = await Promise.all((set.keys ?? []).map(read));
      const good = keys.filter((key) => key !== undefined);
      // Those that are known go on counting when they cannot be read.
      if (good.length > 0) [this.#keys, this.#keysReadAt] = [good, now];
    })()
      .catch((error) => this.#settings.warn(`the keys of access tokens cannot be read: ${reason(error)}`))
      .finally(() => {
        // A reading may take as long as the pause, which begins at its end.
        [this.#reading, this.#keysAskedAt] = [undefined, this.#settings.clock()];
      });
    return this.#reading;
  }
}
