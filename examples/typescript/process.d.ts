/** What Node says of its environment; all that is used of Node here. */
declare const process: { env: Record<string, string | undefined> };
