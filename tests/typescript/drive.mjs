// The verifier in TypeScript, driven line by line: the first line holds its settings, each line after it a token.
// Each answer is a line: the user, or why the token was refused.
import { createInterface } from "node:readline";

const { Verifier } = await import(new URL(`file://${process.argv[2]}`));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const settings = JSON.parse((await lines.next()).value);
let now = settings.now;
const verifier = new Verifier({ ...settings, clock: () => now, warn: () => {} });
verifier.follow();
for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const asked = JSON.parse(line.value);
  now = asked.now;
  const answer = await verifier.check(asked.token).then(
    (claims) => ({ sub: claims.sub }),
    (error) => ({ refused: error.reason ?? String(error) }),
  );
  console.log(JSON.stringify({ ...answer, cursor: verifier.cursor ?? null }));
}
process.exit(0);
