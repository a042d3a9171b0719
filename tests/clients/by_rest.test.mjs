// Tests reading missed messages by REST, with a server that has three pages.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { byRest } from "../../clients/javascript/private_chat/index.js";

const PAGES = { "": [[4, 5], "a"], a: [[6], "b"], b: [[], null] };
const asked = [];
let server, url, status;

before(async () => {
  server = createServer((request, response) => {
    if (status === null) return;
    const { pathname, searchParams: query } = new URL(request.url, "http://localhost");
    asked.push([request.headers.authorization, pathname, query.get("after_id"), query.get("limit"), query.get("cursor")]);
    const [ids, next_cursor] = PAGES[query.get("cursor") ?? ""];
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ data: ids.map((id) => ({ id })), next_cursor }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${server.address().port}`;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

test("all pages are read, each with the current token", async () => {
  status = 200;
  let count = 0;
  const found = [];
  for await (const page of byRest(url, () => `t${(count += 1)}`)(3)) found.push(page.map(({ id }) => id));
  assert.deepEqual(found, [[4, 5], [6], []]);
  assert.deepEqual(asked, [
    ["Bearer t1", "/api/messages", "3", "100", null],
    ["Bearer t2", "/api/messages", "3", "100", "a"],
    ["Bearer t3", "/api/messages", "3", "100", "b"],
  ]);
});

test("an answer with an error status is an error", async () => {
  status = 503;
  await assert.rejects(async () => {
    for await (const page of byRest(url, () => "t")(3)) assert.fail(`${page}`);
  }, /messages could not be read: 503/);
});

test("a request that is not answered ends", async () => {
  status = null;
  const reading = byRest(url, () => "t", { limitMs: 20 })(3);
  await assert.rejects(reading.next(), { name: "TimeoutError" });
});
