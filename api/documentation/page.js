// Shows /api/openapi.json and sends requests to the host that served it. Inserts text only as text, never as markup.
"use strict";

const tokenInput = document.getElementById("token");

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Returns a sentence as nodes: what is between back-ticks as code. */
function words(text) {
  return text.split("`").map((part, number) => (number % 2 ? element("code", {}, part) : part));
}

function resolve(api, schema) {
  const name = schema && schema.$ref && schema.$ref.split("/").pop();
  return name ? api.components.schemas[name] : schema;
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.enum) return schema.enum.filter((value) => value !== null).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  const kind = [].concat(schema.type || []).join(" | ");
  const range = ["minimum", "maximum", "minLength", "maxLength"]
    // JavaScript, and so this page, has no exact number for the limits of 64 bits.
    .filter((key) => key in schema && Math.abs(schema[key]) <= Number.MAX_SAFE_INTEGER).map((key) => `${key} ${schema[key]}`);
  return [kind, ...range].join(", ");
}

function sample(api, content) {
  if (content.example) return content.example;
  const schema = resolve(api, content.schema) || {};
  return Object.fromEntries((schema.required || []).map((name) => [name, ""]));
}

function fieldsOf(api, schema) {
  const object = resolve(api, schema);
  if (!object || !object.properties) return "";
  return Object.entries(object.properties).map(([name, field]) =>
    `${name}${(object.required || []).includes(name) ? "" : "?"}: ${typeOf(resolve(api, field))}`).join("\n");
}

/** Returns the request that the form asks for: its address, and the options of fetch. */
function requestOf(method, path, form) {
  const query = new URLSearchParams();
  let target = path;
  const options = { method, headers: {} };
  for (const input of form.querySelectorAll("[data-in]")) {
    if (input.dataset.in === "file") {
      options.body = new FormData();
      if (input.files[0]) options.body.append("picture", input.files[0]);
    } else if (input.dataset.in === "body") {
      options.body = input.value;
      options.headers["Content-Type"] = "application/json";
    } else if (input.value !== "") {
      if (input.dataset.in === "path") target = target.replace(`{${input.name}}`, encodeURIComponent(input.value));
      else if (input.dataset.in === "header") options.headers[input.name] = input.value;
      else query.append(input.name, input.value);
    }
  }
  if (query.size) target += `?${query}`;
  return { target, options };
}

/** Returns the line for a shell that sends the same request. The token stays out of it: it is in the variable TOKEN. */
function curlOf(method, path, form, needsToken) {
  const { target, options } = requestOf(method, path, form);
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", ...(method === "GET" ? [] : ["-X", method]), quoted(location.origin + target)];
  if (needsToken) parts.push("-H", '"Authorization: Bearer $TOKEN"');
  for (const [name, value] of Object.entries(options.headers)) parts.push("-H", quoted(`${name}: ${value}`));
  if (typeof options.body === "string") parts.push("-d", quoted(options.body));
  else if (options.body) parts.push("-F", quoted("picture=@car.jpg"));
  return parts.join(" ");
}

async function send(method, path, form, output) {
  const { target, options } = requestOf(method, path, form);
  if (tokenInput.value) options.headers.Authorization = `Bearer ${tokenInput.value}`;
  output.replaceChildren("…");
  try {
    const response = await fetch(target, options);
    const type = response.headers.get("Content-Type") || "";
    const line = `${method} ${target}\n${response.status} ${response.statusText} ${type}\n\n`;
    if (type.startsWith("image/")) {
      const image = element("img", { src: URL.createObjectURL(await response.blob()), alt: "The picture" });
      output.replaceChildren(line, image);
      return;
    }
    let text = await response.text();
    if (type.includes("json")) {
      const body = JSON.parse(text);
      if (body.access_token) tokenInput.value = body.access_token;
      text = JSON.stringify(body, null, 2);
    }
    output.replaceChildren(line + text);
  } catch (error) {
    output.replaceChildren(String(error));
  }
}

function operationOf(api, path, method, operation) {
  const form = element("form");
  if (operation.description) form.append(element("p", {}, ...words(operation.description)));
  for (const parameter of operation.parameters || []) {
    const input = element("input", { name: parameter.name, required: Boolean(parameter.required) });
    input.dataset.in = parameter.in;
    input.placeholder = "default" in parameter.schema ? String(parameter.schema.default) : "";
    const note = parameter.description ? words(`: ${parameter.description}`) : [];
    form.append(element("label", {}, `${parameter.name} (${parameter.in}, ${typeOf(parameter.schema)})`, ...note, input));
  }
  const content = (operation.requestBody || {}).content || {};
  if (content["application/json"]) {
    const area = element("textarea", { spellcheck: false });
    area.dataset.in = "body";
    area.value = JSON.stringify(sample(api, content["application/json"]), null, 2);
    form.append(
      element("pre", {}, fieldsOf(api, content["application/json"].schema)),
      element("label", {}, "body (application/json)", area));
  } else if (content["multipart/form-data"]) {
    const file = element("input", { type: "file", accept: "image/*,.heic,.heif" });
    file.dataset.in = "file";
    form.append(element("label", {}, "picture", file));
  }
  const answers = element("dl");
  for (const [status, answer] of Object.entries(operation.responses)) {
    answers.append(element("dt", {}, status), element("dd", {}, ...words(answer.description)));
  }
  const curl = element("pre", { className: "curl" });
  const needsToken = Boolean(operation.security?.some((one) => one.bearer));
  const showCurl = () => curl.replaceChildren(curlOf(method.toUpperCase(), path, form, needsToken));
  const output = element("pre", { ariaLive: "polite" });
  form.append(curl, element("button", {}, "Send"), output, answers);
  form.addEventListener("input", showCurl);
  showCurl();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method.toUpperCase(), path, form, output);
  });
  const title = element("summary", {}, element("b", { className: method }, method.toUpperCase()), ` ${path} `,
    element("span", {}, ...words(operation.summary)));
  return element("details", { id: operation.operationId }, title, form);
}

/** Returns the description as nodes. It has paragraphs, and lists whose items may go on in the next line. */
function about(description) {
  return description.trim().split("\n\n").map((part) => {
    if (!part.startsWith("- ")) return element("p", {}, ...words(part.replaceAll("\n", " ")));
    const items = part.slice(2).split("\n- ");
    return element("ul", {}, ...items.map((item) => element("li", {}, ...words(item.replace(/\n\s*/g, " ")))));
  });
}

async function show() {
  const main = document.getElementById("operations");
  const response = await fetch("/api/openapi.json");
  const api = await response.json();
  document.getElementById("about").replaceChildren(...about(api.info.description));
  const sections = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      if (!sections.has(tag)) sections.set(tag, element("section", {}, element("h2", {}, tag)));
      sections.get(tag).append(operationOf(api, path, method, operation));
    }
  }
  main.replaceChildren(...sections.values());
}

show().catch((error) => document.getElementById("operations").replaceChildren(`Could not load: ${error}`));
