// Print every event as it happens. Needs: npm install @nats-io/transport-node
import { readFileSync } from "node:fs";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";

const seed = new TextEncoder().encode(readFileSync(process.env.HOLDFAST_NKEY, "utf8").trim());
const bus = await connect({ servers: process.env.NATS_URL, authenticator: nkeyAuthenticator(seed) });
const events = bus.subscribe("ha.events.*");
await bus.flush();
console.log("listening");
for await (const message of events) {
  const event = message.json();
  console.log(event.time, event.type, event.subject, event.id);
}
