// Parses conversations with the schemas of @openai/agents-realtime; run by test_zod.py.
//
//     node zod_judge.mjs FOLDER < conversations.json
//
// FOLDER holds node_modules; the input is a list of lists of events. Prints, for each list, the
// types of the events that satisfy no schema of theirs.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const sdk = `${process.argv[2]}/node_modules/@openai/agents-realtime`;
const { parseRealtimeEvent } = await import(
  pathToFileURL(`${sdk}/dist/openaiRealtimeEvents.mjs`).href
);
const conversations = JSON.parse(readFileSync(0, "utf8"));
const refused = conversations.map((events) =>
  events
    .filter((event) => parseRealtimeEvent({ data: JSON.stringify(event) }).isGeneric)
    .map((event) => event.type),
);
console.log(JSON.stringify(refused));
