// The smoke test by node:http alone: the same routes and the same answers, timeouts as node has them.
"use strict";

const http = require("node:http");

// Slow readers ask for the largest answer there is.
const DOCUMENT = JSON.stringify({ openapi: "3.1.0", padding: "x".repeat(80_000) });

function answer(response, status, body) {
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

function pong(text) {
  const body = JSON.parse(text);
  const members = body === null || typeof body !== "object" ? [] : Object.keys(body);
  if (members.length !== 1 || typeof body.ping !== "string") throw new TypeError("no ping");
  return JSON.stringify({
    status: "ok",
    message: "PetSage system is operational.",
    pong: body.ping,
    timestamp: new Date().toISOString(),
  });
}

const server = http.createServer((request, response) => {
  if (request.method === "GET" && request.url === "/system/live") {
    answer(response, 200, '{"status":"ok"}');
  } else if (request.method === "GET" && request.url === "/openapi.json") {
    answer(response, 200, DOCUMENT);
  } else if (request.method === "POST" && request.url === "/system/smoke-test") {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      try {
        answer(response, 200, pong(Buffer.concat(parts).toString()));
      } catch {
        answer(response, 422, '{"status":422}');
      }
    });
  } else {
    answer(response, 404, '{"status":404}');
  }
});

server.listen(Number(process.env.PORT), "127.0.0.1", 2048);
