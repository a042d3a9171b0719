// Shows /api/openapi.json and sends requests to the host that served it. Inserts text only as text, never as markup.
"use strict";

const tokenInput = document.getElementById("token");

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
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
    .filter((key) => key in schema).map((key) => `${key} ${schema[key]}`);
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

async function send(method, path, form, output) {
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
      else query.append(input.name, input.value);
    }
  }
  if (tokenInput.value) options.headers.Authorization = `Bearer ${tokenInput.value}`;
  if (query.size) target += `?${query}`;
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
  for (const parameter of operation.parameters || []) {
    const input = element("input", { name: parameter.name, required: Boolean(parameter.required) });
    input.dataset.in = parameter.in;
    input.placeholder = "default" in parameter.schema ? String(parameter.schema.default) : "";
    const note = parameter.description ? `: ${parameter.description}` : "";
    form.append(element("label", {}, `${parameter.name} (${parameter.in}, ${typeOf(parameter.schema)})${note}`, input));
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
    answers.append(element("dt", {}, status), element("dd", {}, answer.description));
  }
  const output = element("pre", { ariaLive: "polite" });
  form.append(element("button", {}, "Send"), output, answers);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method.toUpperCase(), path, form, output);
  });
  const title = element("summary", {}, element("b", {}, method.toUpperCase()), ` ${path} `,
    element("span", {}, operation.summary));
  return element("details", { id: operation.operationId }, title, form);
}

async function show() {
  const main = document.getElementById("operations");
  const response = await fetch("/api/openapi.json");
  const api = await response.json();
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
