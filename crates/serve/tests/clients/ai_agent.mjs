// An agent with the ai package: a tool, two turns, whole and streamed, in chat completions.
// Prints the last text of each session. The base URL is the only argument.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const inputSchema = jsonSchema({ type: "object", properties: { x: { type: "integer" } }, required: ["x"] });
const tools = { double: tool({ description: "Doubles.", inputSchema, execute: async ({ x }) => String(2 * x) }) };
const request = (session) => ({
  model: createOpenAICompatible({ name: "turnwise", baseURL: process.argv[2], apiKey: session })("tiny"),
  prompt: "Twice 2?",
  stopWhen: stepCountIs(4),
  maxRetries: 0,
  tools,
});

console.log((await generateText(request("ai"))).text);
console.log(await streamText(request("ai-streamed")).text);
